package finding

import (
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// suggest is the handler of a probe to write, as far as the spec of its container tells: that of another probe of the container which asks
// something, else what the system is known to answer, else a port that the container declares. Own is the probe in question, nil for
// none; path is what is asked where nothing names one. The word PORT stands where nothing names a port.
func suggest(s *Subject, c *corev1.Container, own *corev1.Probe, path string) string {
	for _, p := range []*corev1.Probe{c.ReadinessProbe, c.LivenessProbe, c.StartupProbe} {
		switch {
		case p == nil:
		case p.GRPC != nil:
			return grpc(p.GRPC.Port)
		case p.HTTPGet != nil:
			return httpGet(p.HTTPGet.Path, p.HTTPGet.Port.String(), p.HTTPGet.Scheme)
		}
	}
	if s.Probe.Path != "" && c.Name == s.Main {
		return httpGet(s.Probe.Path, strconv.Itoa(int(s.Probe.Port)), "")
	}
	name, port := declared(c, own)
	switch {
	case port == 0:
		return httpGet(path, "PORT", "")
	case strings.HasPrefix(name, "grpc") || strings.HasSuffix(name, "-grpc") || port == grpcPort:
		return grpc(port)
	}
	return httpGet(path, strconv.Itoa(int(port)), "")
}

// grpcPort is where gRPC servers listen by custom.
const grpcPort = 50051

func grpc(port int32) string { return "grpc: {port: " + strconv.Itoa(int(port)) + "}" }

// plainPath is a path that YAML takes without quotes, and that is no sentence.
var plainPath = regexp.MustCompile(`^/[\w./-]{0,60}$`)

func httpGet(path, port string, scheme corev1.URIScheme) string {
	if !plainPath.MatchString(path) {
		path = "/"
	}
	tail := "}"
	if scheme == corev1.URISchemeHTTPS {
		tail = ", scheme: HTTPS}"
	}
	return "httpGet: {path: " + path + ", port: " + port + tail
}

// declared is the port of a container to ask: the one that its probe opens already, else the one whose name fits best; 0 where it declares none.
func declared(c *corev1.Container, own *corev1.Probe) (name string, port int32) {
	if own != nil && own.TCPSocket != nil {
		return portOf(c, own.TCPSocket.Port)
	}
	best := -1
	for i := range c.Ports {
		if p := &c.Ports[i]; (p.Protocol == "" || p.Protocol == corev1.ProtocolTCP) && fitness(p.Name) > best {
			best, name, port = fitness(p.Name), p.Name, p.ContainerPort
		}
	}
	return name, port
}

// portOf is the port that a probe names by its name or its number.
func portOf(c *corev1.Container, at intstr.IntOrString) (name string, port int32) {
	for _, p := range c.Ports {
		if at.Type == intstr.String && p.Name == at.StrVal || at.Type == intstr.Int && p.ContainerPort == at.IntVal {
			return p.Name, p.ContainerPort
		}
	}
	return "", at.IntVal
}

// fitness ranks the names of ports by how likely they answer a probe.
func fitness(name string) int {
	switch {
	case strings.Contains(name, "health") || strings.Contains(name, "probe"):
		return 3
	case strings.HasPrefix(name, "http"):
		return 2
	case strings.Contains(name, "metrics"):
		return 0
	}
	return 1
}
