-- name: AddEvidence :execrows
INSERT INTO evidence (id, runner, at, incarnation, namespace, name, uid, component, health, reason, why, since, raw, message,
  container, next, unproven, inspect, image, node, fingerprint)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING;

-- name: AddProof :exec
INSERT INTO proofs (evidence, proof) VALUES (?, ?) ON CONFLICT (evidence) DO NOTHING;

-- name: PutLog :exec
INSERT INTO logs (evidence, container, previous, at, text, problem) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (evidence, container, previous) DO UPDATE SET at = excluded.at, text = excluded.text, problem = excluded.problem;

-- name: EvidenceByID :one
SELECT refs.cluster, refs.system, refs.namespace AS ref_namespace, refs.name AS ref_name, sqlc.embed(evidence), proofs.proof
FROM evidence JOIN refs ON refs.id = evidence.runner LEFT JOIN proofs ON proofs.evidence = evidence.id
WHERE evidence.id = ?;

-- name: LogsOf :many
SELECT * FROM logs WHERE evidence = ? ORDER BY container, previous DESC;

-- name: EvidenceSince :many
SELECT * FROM evidence WHERE at >= @since AND at <= @until ORDER BY at DESC, id LIMIT @max_rows;

-- name: EvidenceOfReason :many
SELECT * FROM evidence WHERE reason = @reason AND at >= @since AND at <= @until ORDER BY at DESC, id LIMIT @max_rows;

-- name: TimesOfReason :many
SELECT at FROM evidence WHERE reason = @reason AND at >= @since ORDER BY at DESC LIMIT @max_rows;

-- name: EvidenceOfRunner :many
SELECT * FROM evidence WHERE runner = @runner AND at >= @since ORDER BY at DESC, id LIMIT @max_rows;

-- name: ListRefs :many
SELECT * FROM refs;

-- name: DeleteOldEvidence :many
DELETE FROM evidence WHERE id IN (SELECT e.id FROM evidence AS e WHERE e.at < @before ORDER BY e.at LIMIT @max_rows) RETURNING id, runner;

-- name: DeleteProof :exec
DELETE FROM proofs WHERE evidence = ?;

-- name: DeleteLogs :exec
DELETE FROM logs WHERE evidence = ?;

-- name: DeleteStrayLogs :exec
DELETE FROM logs WHERE logs.at < @before AND NOT EXISTS (SELECT 1 FROM evidence WHERE evidence.id = logs.evidence);
