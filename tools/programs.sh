# For scripts that run programs of ours; read by `. tools/programs.sh`.

# run_program PROGRAM ARGUMENT…: in the background, and waited for, so that a signal that reaches this shell alone goes on to it.
# Sets status, the program's own, and stopped, where a signal came: a training that was told to stop has saved what it had.
status=0
stopped=
run_program() {
  "$@" &
  program=$!
  trap 'stopped=1; kill $program 2> /dev/null || :' INT TERM
  status=0
  wait $program || status=$?
  while kill -0 $program 2> /dev/null; do # a signal ended the waiting, not the program
    status=0
    wait $program || status=$?
  done
  trap - INT TERM
  if [ -n "$stopped" ] || [ $status -eq 130 ] || [ $status -eq 143 ]; then
    echo "Stopped before the end. Repeat the same command to go on from there." >&2
    exit 130
  fi
}
