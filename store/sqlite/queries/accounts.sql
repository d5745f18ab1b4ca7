-- name: AddUser :execrows
INSERT INTO users (name, role, hash, created, changed) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: ChangeUser :execrows
UPDATE users SET role = ?, hash = ?, changed = ? WHERE name = ?;

-- name: RemoveUser :execrows
DELETE FROM users WHERE name = ?;

-- name: FindUser :one
SELECT * FROM users WHERE name = ?;

-- name: ListUsers :many
SELECT * FROM users ORDER BY name;

-- name: EndSessionsOfUser :exec
DELETE FROM sessions WHERE name = ? AND via = 'local';

-- name: AddSession :exec
INSERT INTO sessions (hash, name, role, via, membership, token, created, seen, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: FindSession :one
SELECT * FROM sessions WHERE hash = ?;

-- name: SeeSession :exec
UPDATE sessions SET seen = ? WHERE hash = ?;

-- name: EndSession :exec
DELETE FROM sessions WHERE hash = ?;

-- name: EndSessionsOfToken :exec
DELETE FROM sessions WHERE token = ?;

-- name: PruneSessions :execrows
DELETE FROM sessions WHERE expires < sqlc.arg(now) OR seen < sqlc.arg(seen);

-- name: AddToken :execrows
INSERT INTO tokens (id, kind, name, role, made_by, form, hash, created, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: FindToken :one
SELECT * FROM tokens WHERE id = ?;

-- name: ListTokens :many
SELECT * FROM tokens ORDER BY created, id;

-- name: UseToken :exec
UPDATE tokens SET used = ? WHERE id = ?;

-- name: RevokeToken :execrows
UPDATE tokens SET revoked = ? WHERE id = ? AND revoked IS NULL;
