#!/bin/bash
# As zfs, but stops for ever, after saying so, before a command that the pattern STOP_BEFORE matches.
if [[ "$*" == $STOP_BEFORE ]]; then
  echo stopped >"$STOPPED"
  exec sleep infinity
fi
exec "$REAL_ZFS" "$@"
