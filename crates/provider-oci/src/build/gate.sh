# Runs a command, and ends it with all that it has started when whoever ordered it is gone. Standard input is a pipe
# whose other end only that process holds: its end is the end of the command.
trap '' HUP INT TERM
exec 3<&0 </dev/null
(
    exec >/dev/null 2>&1
    while read -r towpath_gate; do :; done <&3
    kill -KILL 0
) &
towpath_watch=$!
( trap - HUP INT TERM; exec 3<&-; unset towpath_watch; exec "$@" )
towpath_code=$?
{ kill -KILL $towpath_watch; wait $towpath_watch; } 2>/dev/null
exit $towpath_code
