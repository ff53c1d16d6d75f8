#!/usr/bin/env bash
# checkout: ejected from plan none
#   of pipeline f9c44f8fa0c7914848a402610a83c5d76eb521eaa1b26d488c6c5f4d4c620e32
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

: "${param_commit?set it to the parameter commit}"

# build  shop.build/v1, cannot be undone
step_build() {
  if [ "${DONE_build:-}" = yes ]; then return 0; fi
  say 'build' 'begins'
  by_hand 'build' build \
    'shop.build/v1 with' \
    '  commit = param commit' \
    '  context = "services/checkout"'
}

# scan  scan.image/v1
step_scan() {
  if [ "${DONE_scan:-}" = yes ]; then return 0; fi
  if [ -n "${skipped_build:-}" ]; then skipped_scan=yes; return 0; fi
  say 'scan' 'begins'
  by_hand 'scan' scan \
    'scan.image/v1 with' \
    '  fail-on = "high"' \
    '  image = build.digest'
}

# sign  shop.sign/v1, cannot be undone, best effort
step_sign() {
  if [ "${DONE_sign:-}" = yes ]; then return 0; fi
  if [ -n "${skipped_build:-}" ]; then skipped_sign=yes; return 0; fi
  say 'sign' 'begins'
  by_hand 'sign' sign \
    'shop.sign/v1 with' \
    '  image = build.digest'
}

# approve  towpath.approval/v1, waits for people, within 8 h
step_approve() {
  if [ "${DONE_approve:-}" = yes ]; then return 0; fi
  if [ -n "${skipped_build:-}" ]; then skipped_approve=yes; return 0; fi
  if [ -n "${skipped_scan:-}" ]; then skipped_approve=yes; return 0; fi
  # when scan.critical is 0
  if ! [ "${out_scan_critical?set it to what it says in the output of that step}" = '0' ]; then skipped_approve=yes; return 0; fi
  say 'approve' 'begins'
  # quorum: {"value":2}
  ask 'Approve approve?' || { say 'approve' 'rejected'; return 1; }
}

# migrate  shop.migrate/v1, in production, keeps its effect, timeout 10 min
step_migrate() {
  if [ "${DONE_migrate:-}" = yes ]; then return 0; fi
  say 'migrate' 'begins'
  by_hand 'migrate' migrate \
    'shop.migrate/v1 with' \
    '  schema = "orders"'
}

# canary  shop.canary/v1, in production
step_canary() {
  if [ "${DONE_canary:-}" = yes ]; then return 0; fi
  if [ -n "${skipped_build:-}" ]; then skipped_canary=yes; return 0; fi
  say 'canary' 'begins'
  by_hand 'canary' canary \
    'shop.canary/v1 with' \
    '  image = build.digest' \
    '  weights = [5,25,50]'
}

# smoke  shop.smoke/v1, timeout 30 s
step_smoke() {
  if [ "${DONE_smoke:-}" = yes ]; then return 0; fi
  if [ -n "${skipped_canary:-}" ]; then skipped_smoke=yes; return 0; fi
  say 'smoke' 'begins'
  by_hand 'smoke' smoke \
    'shop.smoke/v1 with' \
    '  url = "https://{canary.host}/health"'
}

# promote  shop.promote/v1, in production, asks before it is undone, point of no return
step_promote() {
  if [ "${DONE_promote:-}" = yes ]; then return 0; fi
  if [ -n "${skipped_build:-}" ]; then skipped_promote=yes; return 0; fi
  say 'promote' 'begins'
  by_hand 'promote' promote \
    'shop.promote/v1 with' \
    '  image = build.digest'
}

# page  shop.page/v1
step_page() {
  if [ "${DONE_page:-}" = yes ]; then return 0; fi
  say 'page' 'begins'
  by_hand 'page' page \
    'shop.page/v1 with' \
    '  team = "sre"'
}

# notify  shop.notify/v1, best effort
step_notify() {
  if [ "${DONE_notify:-}" = yes ]; then return 0; fi
  say 'notify' 'begins'
  by_hand 'notify' notify \
    'shop.notify/v1 with' \
    '  channel = "#deploys"'
}

on_failure() {
  :
  step_page || { say 'page' 'failed, and the rest goes on'; skipped_page=yes; }
}

finally() {
  :
  step_notify || { say 'notify' 'failed, and the rest goes on'; skipped_notify=yes; }
}

main() {
  :
  step_build || return $?
  step_scan || return $?
  step_sign || { [ -z "$HALTED" ] || return 70; say 'sign' 'failed, and the rest goes on'; skipped_sign=yes; }
  step_approve || return $?
  step_migrate || return $?
  step_canary || return $?
  step_smoke || return $?
  step_promote || return $?
  UNDO=() # the point of no return: nothing is undone any more
}

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
