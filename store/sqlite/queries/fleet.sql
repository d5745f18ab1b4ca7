-- name: FindRef :one
SELECT id FROM refs WHERE cluster = ? AND system = ? AND namespace = ? AND name = ?;

-- name: AddRef :one
INSERT INTO refs (cluster, system, namespace, name) VALUES (?, ?, ?, ?) RETURNING id;

-- name: PutRunner :exec
INSERT INTO runners (id, cluster, system, namespace, name, health, reason, why, since, version, requested, observed,
  raw, message, container, next, unproven, inspect, incarnation, recovered, failures, facts, findings, offer, mark)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET health = excluded.health, reason = excluded.reason, why = excluded.why,
  since = excluded.since, version = excluded.version, requested = excluded.requested, observed = excluded.observed,
  raw = excluded.raw, message = excluded.message, container = excluded.container, next = excluded.next,
  unproven = excluded.unproven, inspect = excluded.inspect, incarnation = excluded.incarnation,
  recovered = excluded.recovered, failures = excluded.failures, facts = excluded.facts, findings = excluded.findings,
  offer = excluded.offer, mark = excluded.mark;

-- name: DeleteRunner :exec
DELETE FROM runners WHERE id = ?;

-- name: PutComponent :exec
INSERT INTO components (runner, name, kind, object, health, reason, why, since, version, image, ready, desired, restarts,
  raw, message, container, next, unproven, inspect, probe_url, probe_status, probe_problem, probe_took, probe_at, podless)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (runner, name) DO UPDATE SET kind = excluded.kind, object = excluded.object, health = excluded.health,
  reason = excluded.reason, why = excluded.why, since = excluded.since, version = excluded.version,
  image = excluded.image, ready = excluded.ready, desired = excluded.desired, restarts = excluded.restarts,
  raw = excluded.raw, message = excluded.message, container = excluded.container, next = excluded.next,
  unproven = excluded.unproven, inspect = excluded.inspect, probe_url = excluded.probe_url,
  probe_status = excluded.probe_status, probe_problem = excluded.probe_problem, probe_took = excluded.probe_took,
  probe_at = excluded.probe_at, podless = excluded.podless;

-- name: DeleteComponent :exec
DELETE FROM components WHERE runner = ? AND name = ?;

-- name: PutWorkload :exec
INSERT INTO workloads (runner, namespace, name, uid, component, health, reason, why, since, phase, node, created,
  raw, message, container, next, unproven, inspect, containers)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (runner, namespace, name, uid) DO UPDATE SET component = excluded.component, health = excluded.health,
  reason = excluded.reason, why = excluded.why, since = excluded.since, phase = excluded.phase, node = excluded.node,
  created = excluded.created, raw = excluded.raw, message = excluded.message, container = excluded.container,
  next = excluded.next, unproven = excluded.unproven, inspect = excluded.inspect, containers = excluded.containers;

-- name: DeleteWorkload :exec
DELETE FROM workloads WHERE runner = ? AND namespace = ? AND name = ? AND uid = ?;

-- name: PutSource :exec
INSERT INTO sources (cluster, name, state, since, heard, problem, limits, scope)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (cluster, name) DO UPDATE SET state = excluded.state, since = excluded.since, heard = excluded.heard,
  problem = excluded.problem, limits = excluded.limits, scope = excluded.scope;

-- name: DeleteSource :exec
DELETE FROM sources WHERE cluster = ? AND name = ?;

-- name: SetHeard :exec
UPDATE sources SET heard = ? WHERE cluster = ?;

-- name: SetRecordedAt :exec
INSERT INTO meta (id, recorded_at, feed) VALUES (1, @recorded_at, @feed) ON CONFLICT (id) DO UPDATE SET recorded_at = excluded.recorded_at,
  feed = max(meta.feed, excluded.feed);

-- name: RecordedAt :one
SELECT recorded_at FROM meta WHERE id = 1;

-- name: ListRunners :many
SELECT * FROM runners ORDER BY id;

-- name: ListComponents :many
SELECT * FROM components ORDER BY runner, name;

-- name: ListWorkloads :many
SELECT * FROM workloads ORDER BY runner, namespace, name, uid;

-- name: ListSources :many
SELECT * FROM sources ORDER BY cluster, name;
