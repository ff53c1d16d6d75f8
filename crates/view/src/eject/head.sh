#
# What is lost by running this instead of the plan:
#   * Durability. Killed half-way, it remembers nothing; started again, it does everything again. A step is left out with
#     DONE_<step>=yes in the environment, and what others read of it is given as out_<step>_<field>=….
#   * Doubt. A command that was cut off is taken for failed; nobody looks at the world. Nothing is retried.
#   * Undoing that survives. It runs in reverse order when a step fails, once, and a failed undo is only told.
#   * Keys of effects (TOWPATH_KEY), so that a provider cannot tell a repetition.
#   * Approvals by people who are who they say they are: whoever is at this terminal answers.
#   * Parallel steps, locks, deadlines of the whole run, the journal, secrets kept out of the process and its output.
#   * Types: every value is a text here, so that 0 and "0" are the same.
set -euo pipefail

UNDO=()   # what has begun and can be undone, in order
HALTED='' # set when somebody has to do something by hand: then nothing is undone

say() { printf '%s: %s\n' "$1" "$2" >&2; }

by_hand() {
  say "$1" 'this step has no shell form. Do by hand:'
  printf '    %s\n' "${@:3}" >&2
  printf '  then start again with DONE_%s=yes, and with the steps before it marked done as well.\n' "$2" >&2
  HALTED=yes
  return 70
}

ask() {
  local answer
  read -r -p "$1 Type yes: " answer || return 1
  [ "$answer" = yes ]
}

