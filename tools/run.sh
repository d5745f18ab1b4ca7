#!/usr/bin/env bash
# Serves the cluster of KUBECONFIG, else a local control plane with a fleet to which things happen. Ctrl-C stops all it started.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "$CACHE"
listen=${TRACKSIDE_LISTEN:-127.0.0.1:8080}
export TRACKSIDE_LISTEN=$listen TRACKSIDE_DATA=${TRACKSIDE_DATA:-$CACHE/trackside.db} TRACKSIDE_METRICS_LISTEN=${TRACKSIDE_METRICS_LISTEN:-127.0.0.1:9090}
pids=()
stop() {
  trap - EXIT INT TERM
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  if [ -n "${local_cluster:-}" ]; then "$CLUSTER" down --dir "$local_cluster" || true; fi
  echo "Stopped. Start again with: make run"
}
trap stop EXIT
trap 'exit 130' INT TERM
if [ -z "${KUBECONFIG:-}" ]; then
  local_cluster=$CACHE/run
  export TRACKSIDE_DATA=${TRACKSIDE_DATA%.db}-local.db
  rm -f "$TRACKSIDE_DATA"* # the local cluster starts empty each time, and so does its history
  "$CLUSTER" up --dir "$local_cluster" --fleet --detach
  export KUBECONFIG=$local_cluster/kubeconfig TRACKSIDE_CLUSTER=${TRACKSIDE_CLUSTER:-local=trackside}
  setsid "$CLUSTER" incident loop --kubeconfig "$KUBECONFIG" >"$CACHE/incidents.log" 2>&1 &
  pids+=($!)
  echo "Things happen to the fleet every 20 s or so: $CACHE/incidents.log tells what."
  echo "Do something to it yourself: KUBECONFIG=$KUBECONFIG $CLUSTER incident list"
fi
bin/trackside serve &
pids+=($!)
echo "Next: open http://$listen in a browser. Ctrl-C stops everything."
wait "${pids[-1]}"
