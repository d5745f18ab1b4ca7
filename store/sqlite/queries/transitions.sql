-- name: AddTransition :exec
INSERT INTO transitions (runner, at, seq, kind, component, workload, from_value, to_value, health, reason, why, since,
  raw, message, container, next, unproven, inspect, incarnation, id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: TransitionsAt :many
SELECT * FROM transitions WHERE runner = ? AND at = ? ORDER BY seq;

-- name: TransitionsBefore :many
SELECT * FROM transitions
WHERE runner = @runner AND at <= @at AND (at < @at OR seq < @seq)
ORDER BY at DESC, seq DESC LIMIT @max_rows;

-- name: TransitionsSince :many
-- CROSS JOIN keeps the order of the loops: one seek for each runner, so that no index by time is needed.
SELECT refs.cluster, refs.system, refs.namespace, refs.name, sqlc.embed(transitions)
FROM refs CROSS JOIN transitions ON transitions.runner = refs.id
WHERE transitions.at >= @at
ORDER BY transitions.at, transitions.runner, transitions.seq LIMIT @max_rows;

-- name: RunnersWithOld :many
SELECT refs.id FROM refs
WHERE EXISTS (SELECT 1 FROM transitions WHERE transitions.runner = refs.id AND transitions.at < @at);

-- name: Subjects :many
SELECT at, seq, kind, component, workload FROM transitions
WHERE runner = @runner AND at <= @at AND (at < @at OR seq < @seq)
ORDER BY at DESC, seq DESC LIMIT @max_rows;

-- name: RunnerExists :one
SELECT EXISTS (SELECT 1 FROM runners WHERE id = ?);

-- name: ComponentNames :many
SELECT name FROM components WHERE runner = ?;

-- name: WorkloadNames :many
SELECT namespace, name FROM workloads WHERE runner = ?;

-- name: DeleteTransition :execrows
DELETE FROM transitions WHERE runner = ? AND at = ? AND seq = ?;

-- name: DeleteUnusedRef :exec
DELETE FROM refs WHERE refs.id = @id
AND NOT EXISTS (SELECT 1 FROM transitions WHERE transitions.runner = refs.id)
AND NOT EXISTS (SELECT 1 FROM runners WHERE runners.id = refs.id)
AND NOT EXISTS (SELECT 1 FROM evidence WHERE evidence.runner = refs.id)
AND NOT EXISTS (SELECT 1 FROM standings WHERE standings.runner = refs.id)
AND NOT EXISTS (SELECT 1 FROM rollups WHERE rollups.runner = refs.id);

-- name: FeedAfter :many
SELECT refs.cluster, refs.system, refs.namespace, refs.name, sqlc.embed(transitions)
FROM transitions JOIN refs ON refs.id = transitions.runner
WHERE transitions.id > @after ORDER BY transitions.id LIMIT @max_rows;

-- name: FeedBefore :many
SELECT refs.cluster, refs.system, refs.namespace, refs.name, sqlc.embed(transitions)
FROM transitions JOIN refs ON refs.id = transitions.runner
WHERE transitions.id < @before ORDER BY transitions.id DESC LIMIT @max_rows;

-- name: FeedNewest :one
-- Never less than what is there, though a hand took the row of meta away.
SELECT CAST(max(coalesce((SELECT feed FROM meta WHERE meta.id = 1), 0), coalesce((SELECT max(transitions.id) FROM transitions), 0)) AS INTEGER) AS newest;

-- name: FeedOldest :one
SELECT CAST(coalesce(min(transitions.id), 0) AS INTEGER) AS oldest FROM transitions;
