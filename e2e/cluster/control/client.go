package control

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func dirFlag(flags *flag.FlagSet, dir *string) {
	flags.StringVar(dir, "dir", ".cache/cluster", "the folder the cluster keeps its state in")
}

// parseFlags parses flags and refuses what is left over: a forgotten dash must not pass in silence.
func parseFlags(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s: unexpected argument %q", flags.Name(), flags.Arg(0))
	}
	return nil
}

// Down ends the cluster of a folder. None running is no error.
func Down(args []string) error {
	var dir string
	flags := flag.NewFlagSet("cluster down", flag.ContinueOnError)
	dirFlag(flags, &dir)
	if err := parseFlags(flags, args); err != nil {
		return err
	}
	s, err := readState(dir)
	if errors.Is(err, errNotRunning) {
		clean(dir, s)
		fmt.Printf("No cluster is running in %s.\n", dir)
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := ask(s, http.MethodPost, "/down"); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("asking the supervisor to end: %w", err)
	}
	for range 300 {
		if !alive(s.PID) {
			fmt.Printf("The cluster in %s is stopped.\n", dir)
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("stopping the cluster: its supervisor (pid %d) is still there after 15 s", s.PID)
}

// PrintStatus prints a cluster's Status as JSON.
func PrintStatus(args []string) error {
	var dir string
	flags := flag.NewFlagSet("cluster status", flag.ContinueOnError)
	dirFlag(flags, &dir)
	if err := parseFlags(flags, args); err != nil {
		return err
	}
	s, err := readState(dir)
	if err != nil {
		return err
	}
	data, err := ask(s, http.MethodGet, "/status")
	if err != nil {
		return fmt.Errorf("asking the supervisor for its status: %w", err)
	}
	var status Status
	if err := json.Unmarshal(data, &status); err != nil {
		return fmt.Errorf("reading the supervisor's status: %w", err)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(status)
}

// Operate does a verb (restart, stop, start, freeze, thaw) to the component
// named by the first argument, wherever the flags stand.
func Operate(verb string, args []string) error {
	var dir string
	flags := flag.NewFlagSet("cluster "+verb, flag.ContinueOnError)
	dirFlag(flags, &dir)
	if err := flags.Parse(args); err != nil {
		return err
	}
	name := flags.Arg(0)
	if rest := flags.Args(); len(rest) > 1 {
		if err := parseFlags(flags, rest[1:]); err != nil {
			return err
		}
	}
	if !slices.Contains(components, name) {
		return fmt.Errorf("%s: unknown component %q: there are %s", verb, name, strings.Join(components, ", "))
	}
	s, err := readState(dir)
	if err != nil {
		return err
	}
	began := time.Now()
	if _, err := ask(s, http.MethodPost, "/"+verb+"/"+name); err != nil {
		return err
	}
	fmt.Printf("%s: %s done in %.2f s\n", name, verb, time.Since(began).Seconds())
	return nil
}

// ask sends one request to a supervisor.
func ask(s State, method, path string) ([]byte, error) {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", s.Control)
	}}}
	request, err := http.NewRequest(method, "http://supervisor"+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(strings.TrimSpace(string(body)))
	}
	return body, nil
}

// Token writes a kubeconfig that signs in as a ServiceAccount.
func Token(ctx context.Context, args []string) error {
	var dir, account, out string
	flags := flag.NewFlagSet("cluster token", flag.ContinueOnError)
	dirFlag(flags, &dir)
	flags.StringVar(&account, "serviceaccount", "", "the ServiceAccount, as NAMESPACE/NAME")
	flags.StringVar(&out, "out", "", "the kubeconfig to write")
	if err := parseFlags(flags, args); err != nil {
		return err
	}
	namespace, name, ok := strings.Cut(account, "/")
	if !ok || out == "" {
		return errors.New("token: --serviceaccount NAMESPACE/NAME and --out FILE are required")
	}
	s, err := readState(dir)
	if err != nil {
		return err
	}
	cfg, client, err := connect(s.Kubeconfig)
	if err != nil {
		return err
	}
	seconds := int64((24 * time.Hour).Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	token, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("requesting a token for %s: %w", account, err)
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("writing the kubeconfig for %s: %w", account, err)
	}
	return clientcmd.WriteToFile(kubeconfig(s.Server, cfg.CAData, &clientcmdapi.AuthInfo{Token: token.Status.Token}), out)
}
