-- name: PutReportToken :exec
INSERT INTO report_tokens (id, name, system, admin, hash, created, revoked) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: FindReportToken :one
SELECT * FROM report_tokens WHERE id = ?;

-- name: ListReportTokens :many
SELECT * FROM report_tokens ORDER BY created, id;

-- name: RevokeReportToken :execrows
UPDATE report_tokens SET revoked = ? WHERE id = ? AND revoked IS NULL;

-- name: PutReportRunner :exec
INSERT OR REPLACE INTO report_runners (id, name, ip, system, namespace, uuid, public_key, version, capacity, eviction,
  capabilities, control, incarnation, registered, heard, lost, beats, idle, problem, problem_since, requested, observed, commands, mark)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: SetReportHeard :exec
UPDATE report_runners SET heard = ? WHERE id = ?;

-- name: DeleteReportRunner :exec
DELETE FROM report_runners WHERE id = ?;

-- name: ListReportRunners :many
SELECT * FROM report_runners ORDER BY id;

-- name: PutReportTask :exec
INSERT OR REPLACE INTO report_tasks (id, type, session, config, runner, queued, claimed, begun, ended, handed, failed, error, words)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: DeleteReportTask :exec
DELETE FROM report_tasks WHERE id = ?;

-- name: ListReportTasks :many
SELECT * FROM report_tasks ORDER BY id;

-- name: PutReportSequence :exec
INSERT OR REPLACE INTO report_sequence (id, next_runner, next_task) VALUES (1, ?, ?);

-- name: ReportSequence :one
SELECT next_runner, next_task FROM report_sequence WHERE id = 1;
