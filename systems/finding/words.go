package finding

import "trackside/store"

// The codes of the rules.
const (
	ReadinessMissing  = "readiness-probe-missing"
	ReadinessVacuous  = "readiness-probe-vacuous"
	ReadinessTCP      = "readiness-probe-tcp"
	LivenessMissing   = "liveness-probe-missing"
	LivenessVacuous   = "liveness-probe-vacuous"
	LivenessTCP       = "liveness-probe-tcp"
	LivenessNever     = "liveness-under-never"
	RequestsMissing   = "requests-missing"
	LimitsMissing     = "limits-missing"
	ImageMoves        = "image-latest"
	ImageUnpinned     = "image-unpinned"
	Privileged        = "privileged"
	HostAccess        = "host-access"
	HostPath          = "host-path"
	AdminAccount      = "service-account-admin"
	ClusterAdminBound = "service-account-cluster-admin"
	SingleUnguarded   = "single-replica-unguarded"
	SingleReplica     = "single-replica"
	UpdaterHourly     = "updater-hourly"
	ManagedArgoCD     = "managed-by-argocd"
	ManagedFlux       = "managed-by-flux"
	ManagedHelm       = "managed-by-helm"
	SecretMissing     = "secret-missing"
	VersionMissing    = "version-missing"
	ReadinessByUsOnly = "readiness-by-our-probe-only"
)

// wording is what a finding of one code says; a dollar sign stands for the mark's detail, and in a fix
// {@} for the handler of the probe.
type wording struct {
	severity store.Severity
	// doubt says that a green of the object is worth little.
	doubt    bool
	why, fix string
}

var words = map[string]wording{
	ReadinessMissing: {store.Warning, true,
		"It has no readiness probe: Kubernetes calls it ready the moment its process starts, and goes on to when it no longer works.",
		"readinessProbe: {@}"},
	ReadinessByUsOnly: {store.Notice, false,
		"It has no readiness probe. Trackside asks it itself, so its health here is proven; Services and roll-outs still take it for ready the moment its process starts.",
		"readinessProbe: {@}"},
	ReadinessVacuous: {store.Critical, true,
		"Its readiness probe runs “$”, which always succeeds: ready says nothing at all.",
		"readinessProbe: {@}"},
	ReadinessTCP: {store.Warning, true,
		"Its readiness probe only opens a TCP connection: a process that hangs, or is not enrolled, still accepts one.",
		"readinessProbe: {@}"},
	LivenessMissing: {store.Notice, false,
		"It has no liveness probe: a process that hangs is never restarted.",
		"livenessProbe: {@}"},
	LivenessVacuous: {store.Warning, false,
		"Its probe runs “$”, which always succeeds: a process that hangs is never restarted.",
		"livenessProbe: {@}"},
	LivenessTCP: {store.Notice, false,
		"Its liveness probe only opens a TCP connection, which a process that hangs may still accept.",
		"livenessProbe: {@}"},
	LivenessNever: {store.Warning, false,
		"It has a liveness probe under restartPolicy Never: one failed probe ends the work for good, since nothing restarts it.",
		"restartPolicy: OnFailure"},
	RequestsMissing: {store.Warning, false,
		"It requests no $: the scheduler places it blindly, and its pod is among the first to be evicted.",
		"resources: {requests: {cpu: 100m, memory: 128Mi}}"},
	LimitsMissing: {store.Warning, false,
		"It has no memory limit: a leak takes the memory of its node, and its neighbours with it.",
		"resources: {limits: {memory: 256Mi}}"},
	ImageMoves: {store.Warning, false,
		"The image $ names no version: two pods of it may run different programs, and a restart may bring another one.",
		"image: $:1.2.3"},
	ImageUnpinned: {store.Notice, false,
		"The tag of the image $ may move: what runs after a restart need not be what was tested.",
		"image: name:1.2.3@sha256:…"},
	Privileged: {store.Critical, false,
		"It is privileged: whatever breaks out of it owns the node.",
		"securityContext: {privileged: false, allowPrivilegeEscalation: false}"},
	HostAccess: {store.Critical, false,
		"It shares $ with its node: what runs in it can reach beyond its pod.",
		"$: false"},
	HostPath: {store.Critical, false,
		"It mounts $ of its node: what runs in it can reach beyond its pod, and with a container engine's socket it owns the node.",
		"emptyDir: {}"},
	AdminAccount: {store.Warning, false,
		"Its service account is called $; a runner with such rights hands them to whatever it runs. Which they are is not read; the line lists them.",
		"kubectl auth can-i --list --as=system:serviceaccount:NAMESPACE:$"},
	ClusterAdminBound: {store.Critical, false,
		"Its service account $ is bound to the role cluster-admin: whatever it runs may do anything in the cluster, and read every Secret.",
		"kubectl delete clusterrolebinding …"},
	store.LegacyV1: {store.Warning, false,
		"It is a runner of generation v1 (operator $), which gets no further releases.",
		"image: ghcr.io/kubiyabot/kubiya-operator:runner_v2"},
	SingleUnguarded: {store.Warning, false,
		"It is one replica without a disruption budget: draining its node takes it away without asking.",
		"replicas: 2"},
	SingleReplica: {store.Notice, false,
		"It is one replica: while its node is drained there is none. Whether a disruption budget guards it is not read.",
		"replicas: 2"},
	UpdaterHourly: {store.Warning, false,
		"It upgrades the runner on the schedule “$”, every hour or more often: a change by hand lives for an hour, and a bad release arrives at night.",
		"schedule: \"0 6 * * 1\""},
	ManagedArgoCD: {store.Notice, false,
		"Argo CD manages it (application $): a change by hand is reverted, at the latest with the next sync. Change it in the application's source; the line shows which repository and path that is.",
		"argocd app get $"},
	ManagedFlux: {store.Notice, false,
		"Flux manages it ($): a change by hand is reverted with the next reconciliation. Change it in its repository, or suspend it meanwhile.",
		"flux suspend $"},
	ManagedHelm: {store.Notice, false,
		"Helm manages it (release $): a change by hand is lost with the next upgrade.",
		"helm upgrade $ CHART --reuse-values --set …"},
	SecretMissing: {store.Critical, false,
		"A pod waits for $, which is not there: it cannot start before it is.",
		"kubectl describe $"},
	VersionMissing: {store.Notice, false,
		"Nothing names its version: neither a label nor the image's tag, so nobody can say whether it is up to date.",
		"metadata: {labels: {app.kubernetes.io/version: \"1.2.3\"}}"},
}
