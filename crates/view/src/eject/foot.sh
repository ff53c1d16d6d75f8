
at_exit() {
  local status=$? i
  trap - EXIT
  if [ -n "$HALTED" ]; then
    exit "$status"
  fi
  if [ "$status" -ne 0 ]; then
    for ((i = ${#UNDO[@]} - 1; i >= 0; i--)); do
      "${UNDO[i]}" || say "${UNDO[i]}" 'it could not be undone: look at it'
    done
    on_failure
  fi
  finally
  exit "$status"
}

trap at_exit EXIT
trap 'exit 130' INT TERM
main
