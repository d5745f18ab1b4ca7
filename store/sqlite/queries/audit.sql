-- name: AddEntry :one
INSERT INTO audit (at, person, groups, role, via, token, verb, cluster, system, namespace, name, object, note, before, after, result, problem, ended, key, action)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id;

-- name: EndEntry :exec
UPDATE audit SET before = ?, after = ?, result = ?, problem = ?, ended = ?, outcome = ?, action = ? WHERE id = ?;

-- name: EntryByKey :one
SELECT * FROM audit WHERE key = ?;

-- name: OpenEntries :many
SELECT * FROM audit WHERE result = '' AND key IS NOT NULL ORDER BY id;

-- name: ListEntries :many
SELECT * FROM audit
WHERE (@before_id = 0 OR id < @before_id) AND at >= @since AND (@until = 0 OR at < @until)
  AND (@person = '' OR person = @person) AND (@verb = '' OR verb = @verb)
  AND (@cluster = '' OR cluster = @cluster) AND (@runner = '' OR name = @runner)
  AND (@words = '' OR instr(lower(person || ' ' || verb || ' ' || cluster || ' ' || system || ' ' || namespace || ' ' || name || ' ' || object || ' ' || note || ' ' || problem), lower(@words)) > 0)
ORDER BY id DESC LIMIT @max_rows;

-- name: PruneEntries :execrows
DELETE FROM audit WHERE id IN (SELECT old.id FROM audit AS old WHERE old.at < @older LIMIT @max_rows);

-- name: ListAcknowledgements :many
SELECT * FROM acknowledgements ORDER BY cluster, system, namespace, name;

-- name: PutAcknowledgement :exec
INSERT INTO acknowledgements (cluster, system, namespace, name, person, note, at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (cluster, system, namespace, name) DO UPDATE SET person = excluded.person, note = excluded.note, at = excluded.at;

-- name: DeleteAcknowledgement :exec
DELETE FROM acknowledgements WHERE cluster = ? AND system = ? AND namespace = ? AND name = ? AND at = ?;
