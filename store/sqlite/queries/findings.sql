-- name: ListAcceptances :many
SELECT * FROM acceptances ORDER BY cluster, system, namespace, name, code, object;

-- name: PutAcceptance :exec
INSERT INTO acceptances (cluster, system, namespace, name, code, object, note, at, until)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (cluster, system, namespace, name, code, object) DO UPDATE SET note = excluded.note, at = excluded.at, until = excluded.until;

-- name: DeleteAcceptance :execrows
DELETE FROM acceptances WHERE cluster = ? AND system = ? AND namespace = ? AND name = ? AND code = ? AND object = ?;

-- name: VersionsSince :many
-- CROSS JOIN and the partial index: what is read is what has changed its version, and not the whole history.
SELECT refs.cluster, refs.system, refs.namespace, refs.name, transitions.component, CAST(max(transitions.at) AS INTEGER) AS since
FROM refs CROSS JOIN transitions INDEXED BY transitions_version ON transitions.runner = refs.id
WHERE transitions.kind IN ('version', 'added')
GROUP BY transitions.runner, transitions.component;
