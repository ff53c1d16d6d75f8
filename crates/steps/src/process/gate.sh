# Holds a command back until its process is recorded, and ends all of it when whoever started it is gone.
# Standard input is a pipe whose other end only the worker holds: a line lets the command begin, its end ends it.
# The command is a child of this shell, and the watch is none of the command's, so that no program meets a child that
# it did not start.
trap '' HUP INT TERM
exec 3<&0 </dev/null
read -r towpath_gate <&3 && [ "$towpath_gate" = go ] || exit 125
trap 'towpath_gate=ends' USR1
(
    trap '' USR1
    exec >/dev/null 2>&1
    while read -r towpath_gate; do :; done <&3
    kill -USR1 $$
    kill -TERM 0
    towpath_gate=GRACE_SECONDS
    while [ "$towpath_gate" -gt 0 ] && kill -0 $$; do
        sleep 1
        towpath_gate=$((towpath_gate - 1))
    done
    kill -KILL 0
) &
towpath_watch=$!
( trap - HUP INT TERM USR1; exec 3<&-; unset towpath_gate towpath_watch; exec "$@" )
towpath_code=$?
[ "$towpath_gate" = ends ] || { kill -KILL $towpath_watch; wait $towpath_watch; } 2>/dev/null
exit $towpath_code
