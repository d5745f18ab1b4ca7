-- name: PutManifestLink :exec
INSERT INTO manifest_links (id, hash, file, cluster, system, namespace, name, sha256, yaml, by, made, expires, single)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: GetManifestLink :one
SELECT * FROM manifest_links WHERE hash = ?;

-- name: UseManifestLink :one
UPDATE manifest_links SET uses = uses + 1, last_used = sqlc.arg(now)
WHERE hash = sqlc.arg(hash) AND revoked = 0 AND expires > sqlc.arg(now) AND (single = 0 OR uses = 0)
RETURNING *;

-- name: RevokeManifestLink :execrows
UPDATE manifest_links SET revoked = sqlc.arg(now), yaml = '' WHERE id = sqlc.arg(id) AND revoked = 0;

-- name: HasManifestLink :one
SELECT EXISTS (SELECT 1 FROM manifest_links WHERE id = ?);

-- name: ListManifestLinks :many
SELECT id, file, cluster, system, namespace, name, sha256, by, made, expires, revoked, single, uses, last_used
FROM manifest_links ORDER BY made DESC, id LIMIT ?;

-- name: EmptyManifestLinks :execrows
UPDATE manifest_links SET yaml = '' WHERE yaml <> '' AND (expires <= sqlc.arg(now) OR single = 1 AND uses > 0);

-- name: PruneManifestLinks :execrows
DELETE FROM manifest_links WHERE expires < sqlc.arg(before) AND made < sqlc.arg(before);
