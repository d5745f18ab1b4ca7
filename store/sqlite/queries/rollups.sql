-- name: AddStanding :execrows
INSERT INTO standings (runner, component, condition, counted, failed) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (runner, component) DO NOTHING;

-- name: SetStanding :exec
UPDATE standings SET condition = ?, counted = ?, failed = ? WHERE runner = ? AND component = ?;

-- name: DeleteStanding :exec
DELETE FROM standings WHERE runner = ? AND component = ?;

-- name: StandingsOf :many
SELECT * FROM standings WHERE runner = ? ORDER BY component;

-- name: AddRollup :exec
INSERT INTO rollups (runner, component, hour, hours, healthy, degraded, unhealthy, unknown, disabled, unseen, failures, recoveries, recovering)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (runner, component, hour) DO UPDATE SET healthy = healthy + excluded.healthy, degraded = degraded + excluded.degraded,
  unhealthy = unhealthy + excluded.unhealthy, unknown = unknown + excluded.unknown, disabled = disabled + excluded.disabled,
  unseen = unseen + excluded.unseen, failures = failures + excluded.failures, recoveries = recoveries + excluded.recoveries,
  recovering = recovering + excluded.recovering;

-- name: RollupsFrom :many
-- The row before the first hour may be of several hours and reach into them.
SELECT * FROM rollups WHERE rollups.runner = @runner AND rollups.component = @component
AND rollups.hour >= coalesce((SELECT max(r.hour) FROM rollups AS r WHERE r.runner = @runner AND r.component = @component AND r.hour <= @hour), 0)
ORDER BY rollups.hour;

-- name: RollupComponents :many
SELECT DISTINCT component FROM rollups WHERE runner = ?;

-- name: DeleteOldRollups :execrows
DELETE FROM rollups WHERE runner = @runner AND component = @component AND hour + hours <= @before;

-- name: AddObserved :exec
INSERT INTO observed (cluster, started, until) VALUES (?, ?, ?)
ON CONFLICT (cluster, started) DO UPDATE SET until = max(until, excluded.until);

-- name: ObservedFrom :many
SELECT * FROM observed WHERE observed.cluster = @cluster AND observed.started >= coalesce((SELECT max(o.started) FROM observed AS o WHERE o.cluster = @cluster AND o.started <= @since), 0)
ORDER BY observed.started;

-- name: DeleteOldObserved :exec
DELETE FROM observed WHERE until < ?;
