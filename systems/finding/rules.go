package finding

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
)

// bounds are the rules about requests and limits. A limit is a request too where no other is given. A missing CPU limit is no fault: the
// field's common advice is to set none, since one throttles a container while its node idles, whereas a CPU request shares a busy node fairly.
func bounds(s *Subject) (out []mark) {
	each(s, func(c *corev1.Container, place string, _ bool) {
		var none []string
		for _, r := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			if !given(c.Resources.Requests, r) && !given(c.Resources.Limits, r) {
				none = append(none, string(r))
			}
		}
		if len(none) > 0 {
			out = append(out, mark{code: RequestsMissing, place: place + ".resources.requests", detail: strings.Join(none, " and no ")})
		}
		if !given(c.Resources.Limits, corev1.ResourceMemory) {
			out = append(out, mark{code: LimitsMissing, place: place + ".resources.limits.memory"})
		}
	})
	return out
}

func given(l corev1.ResourceList, r corev1.ResourceName) bool {
	q, ok := l[r]
	return ok && !q.IsZero()
}

// exact is a tag that is meant to name one program for ever: a version of three numbers, or the hash or date of a build.
var exact = regexp.MustCompile(`\d+\.\d+\.\d+|\b[0-9a-f]{7,40}\b|\d{8}`)

// images are the rules about images. A digest pins an image, and so, for most purposes, does a whole version.
func images(s *Subject) (out []mark) {
	each(s, func(c *corev1.Container, place string, _ bool) {
		name, tag, pinned := cutImage(c.Image)
		switch {
		case pinned || c.Image == "":
		case tag == "" || tag == "latest":
			out = append(out, mark{code: ImageMoves, place: place + ".image", detail: name})
		case !exact.MatchString(tag):
			out = append(out, mark{code: ImageUnpinned, place: place + ".image", detail: c.Image})
		}
	})
	return out
}

// cutImage parts an image into its name and tag, and says whether a digest pins it. A registry's port is no tag.
func cutImage(image string) (name, tag string, pinned bool) {
	name, _, pinned = strings.Cut(image, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, tag = name[:i], name[i+1:]
	}
	return name, tag, pinned
}

// admin is how accounts are called that may do anything.
var admin = regexp.MustCompile(`(^|-)(cluster-?)?admin($|-)`)

// dangers are the rules about rights. What an account is bound to is not read: only its name is seen.
func dangers(s *Subject) (out []mark) {
	each(s, func(c *corev1.Container, place string, _ bool) {
		if sc := c.SecurityContext; sc != nil && sc.Privileged != nil && *sc.Privileged {
			out = append(out, mark{code: Privileged, place: place + ".securityContext.privileged"})
		}
	})
	for _, x := range []struct {
		on    bool
		field string
	}{{s.Spec.HostNetwork, "hostNetwork"}, {s.Spec.HostPID, "hostPID"}, {s.Spec.HostIPC, "hostIPC"}} {
		if x.on {
			out = append(out, mark{code: HostAccess, place: x.field, detail: x.field})
		}
	}
	for _, v := range s.Spec.Volumes {
		if v.HostPath != nil {
			out = append(out, mark{code: HostPath, place: "volumes[" + v.Name + "].hostPath", detail: v.HostPath.Path})
		}
	}
	if name := s.Spec.ServiceAccountName; admin.MatchString(name) {
		out = append(out, mark{code: AdminAccount, place: "serviceAccountName", detail: name})
	}
	return out
}

// version reads the generation off the tag of Kubiya's operator: runner_v2, or a version's first number.
var version = regexp.MustCompile(`^(?:runner_)?v?(\d+)(?:\.|$|-)`)

// generation is the rule about Kubiya runners of generation v1: its charts deploy kubiya-operator:runner_v2 since generation v2. A tag
// without a number, such as main or a hash, says nothing of the generation.
func generation(s *Subject) []mark {
	if s.System != "kubiya" || s.Component != "kubiya-operator" || s.work() {
		return nil
	}
	for i := range s.Spec.Containers {
		c := &s.Spec.Containers[i]
		_, tag, _ := cutImage(c.Image)
		if c.Name != s.Main {
			continue
		}
		m := version.FindStringSubmatch(tag)
		if m == nil {
			continue
		}
		if n, err := strconv.Atoi(m[1]); err == nil && n < 2 {
			return []mark{{code: store.LegacyV1, place: "containers[" + c.Name + "].image", detail: tag}}
		}
	}
	return nil
}

// updater is the rule about a CronJob that upgrades its runner every hour, as the image-updater of Kubiya's chart does.
func updater(s *Subject) []mark {
	if s.Kind != "CronJob" || !hourly(s.Schedule) || !upgrades(s) {
		return nil
	}
	return []mark{{code: UpdaterHourly, place: ".spec.schedule", detail: s.Schedule}}
}

// hourly holds for a schedule that comes every hour or more often.
func hourly(schedule string) bool {
	fields := strings.Fields(schedule)
	if len(fields) > 0 && strings.Contains(fields[0], "TZ=") {
		fields = fields[1:]
	}
	switch {
	case len(fields) == 1:
		return fields[0] == "@hourly" || strings.HasPrefix(fields[0], "@every")
	case len(fields) != 5:
		return false
	}
	for _, f := range fields[1:] {
		if f != "*" && f != "*/1" && f != "?" {
			return false
		}
	}
	return true
}

// upgrades holds for a CronJob whose name, part or command speaks of it.
func upgrades(s *Subject) bool {
	text := s.Name + " " + s.Component
	for i := range s.Spec.Containers {
		c := &s.Spec.Containers[i]
		text += " " + c.Name + " " + strings.Join(c.Command, " ") + " " + strings.Join(c.Args, " ")
	}
	text = strings.ToLower(text)
	return strings.Contains(text, "updat") || strings.Contains(text, "upgrad")
}

// Labels and annotations of those that manage objects: argo-cd's docs/user-guide/resource_tracking.md, Flux's kustomize-controller and
// helm-controller, Helm's own.
const (
	argoTracking  = "argocd.argoproj.io/tracking-id"
	argoInstance  = "argocd.argoproj.io/instance"
	argoPrefix    = "argocd.argoproj.io/"
	fluxKustomize = "kustomize.toolkit.fluxcd.io/name"
	fluxHelm      = "helm.toolkit.fluxcd.io/name"
	helmRelease   = "meta.helm.sh/release-name"
	instance      = "app.kubernetes.io/instance"
	managedBy     = "app.kubernetes.io/managed-by"
)

// managed says who will revert a change by hand: one finding for the release or application, however many objects it has. What Argo CD
// and Flux render from a chart carries Helm's label too; then Helm is not the one.
func managed(s *Subject) []mark {
	switch app := argoApplication(s); {
	case app != "":
		return []mark{{code: ManagedArgoCD, place: ".metadata", detail: strings.Replace(app, "_", "/", 1), object: "application/" + app}}
	case s.Labels[fluxKustomize] != "":
		name := s.Labels[fluxKustomize]
		return []mark{{code: ManagedFlux, place: ".metadata", detail: "kustomization " + name, object: "kustomization/" + name}}
	case s.Labels[fluxHelm] != "":
		name := s.Labels[fluxHelm]
		return []mark{{code: ManagedFlux, place: ".metadata", detail: "helmrelease " + name, object: "helmrelease/" + name}}
	}
	release := s.Annotations[helmRelease]
	if release == "" && s.Labels[managedBy] == "Helm" {
		release = cmp.Or(s.Labels[instance], s.Name)
	}
	if release == "" {
		return nil
	}
	return []mark{{code: ManagedHelm, place: ".metadata", detail: release, object: "release/" + release}}
}

// argoApplication is the application as its mark names it, with the namespace and _ before where that is not Argo CD's own (docs/operator-manual/app-any-namespace.md):
// the application that tracks an object: by annotation, by label, or by the common label where Argo CD's mark is beside it.
func argoApplication(s *Subject) string {
	if id := s.Annotations[argoTracking]; id != "" {
		app, _, _ := strings.Cut(id, ":")
		return app
	}
	if app := s.Labels[argoInstance]; app != "" {
		return app
	}
	for _, m := range []map[string]string{s.Annotations, s.Labels} {
		for k := range m {
			if strings.HasPrefix(k, argoPrefix) {
				return s.Labels[instance]
			}
		}
	}
	return ""
}
