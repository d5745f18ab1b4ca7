package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"trackside/handlers"
	"trackside/poller/kube/manifests"
	"trackside/store"
	"trackside/store/sqlite"
)

// keepLinks is how long a dead link is told from one that never was.
const keepLinks = 30 * 24 * time.Hour

// manifests are what the board writes manifests with.
func (s serveCmd) manifests(targets []target, db *sqlite.DB) (handlers.ManifestOptions, error) {
	var all []manifests.Target
	for _, t := range targets {
		all = append(all, manifests.Target{Alias: t.alias, REST: t.config})
	}
	service, err := manifests.New(all, s.Impersonate)
	return handlers.ManifestOptions{Manifests: service, Running: service, Links: db, Clusters: aliasesOf(targets), ReadOnly: s.ReadOnly}, err
}

type manifestCmd struct {
	System    string            `arg:"" optional:"" help:"The system; without one, the systems there are. With --fields, its fields."`
	Name      string            `help:"What the runner is called." env:"-" placeholder:"NAME"`
	Namespace string            `help:"Where it stands." env:"-" short:"n" placeholder:"NAME"`
	Set       map[string]string `help:"A field's value, as field=value; repeatable." env:"-" mapsep:"none" placeholder:"FIELD=VALUE"`
	Fields    bool              `help:"List the fields of the system and end." env:"-"`
	Helm      bool              `help:"Print the values for the system's own chart instead; the command stands at the top." env:"-"`

	Kubeconfig string `help:"Kubeconfig file; otherwise KUBECONFIG, then ~/.kube/config, then the Pod's ServiceAccount." placeholder:"FILE"`
	Cluster    string `help:"With --dry-run: the context to ask, as ALIAS=CONTEXT or CONTEXT." env:"-" placeholder:"CONTEXT"`
	DryRun     bool   `help:"Ask the cluster what it makes of it; nothing is changed." env:"-"`
}

// Run prints a manifest, or what can be asked of one.
func (m manifestCmd) Run(ctx context.Context) error {
	form, ok := formOf(m.System)
	switch {
	case m.System == "":
		fmt.Print(systemList())
		return nil
	case ok && m.Fields:
		fmt.Print(fieldList(form))
		return nil
	}
	ask := store.ManifestAsk{System: m.System, Values: m.Set}
	if ask.Values == nil {
		ask.Values = map[string]string{}
	}
	for name, v := range map[string]string{"name": m.Name, "namespace": m.Namespace} {
		if v != "" {
			ask.Values[name] = v
		}
	}
	d, err := m.draft(ctx, ask)
	if err != nil {
		return err
	}
	return m.print(d)
}

// draft writes the manifest, and asks a cluster where that is wanted.
func (m manifestCmd) draft(ctx context.Context, ask store.ManifestAsk) (store.ManifestDraft, error) {
	if !m.DryRun {
		return manifests.Draft(ask)
	}
	var names []string
	if m.Cluster != "" {
		names = []string{m.Cluster}
	}
	targets, err := serveCmd{Kubeconfig: m.Kubeconfig, Cluster: names}.targets()
	if err != nil {
		return store.ManifestDraft{}, err
	}
	service, err := manifests.New([]manifests.Target{{Alias: targets[0].alias, REST: targets[0].config}}, false)
	if err != nil {
		return store.ManifestDraft{}, err
	}
	ask.Cluster = targets[0].alias
	return service.Preview(ctx, ask)
}

// print writes the manifest to the standard output, so that it can be piped, and all that is said of it to the standard error.
func (m manifestCmd) print(d store.ManifestDraft) error {
	fmt.Fprint(os.Stderr, remarks(d))
	switch {
	case d.YAML == "":
		return fmt.Errorf("%w: the manifest is not complete; trackside manifest %s --fields tells all fields", store.ErrInvalid, d.System)
	case m.Helm && d.Helm == nil:
		return fmt.Errorf("%w: %s has no chart", store.ErrInvalid, d.System)
	case m.Helm:
		fmt.Printf("# %s\n%s", d.Helm.Command, d.Helm.Values)
	default:
		fmt.Print(d.YAML)
	}
	if len(d.Problems) > 0 {
		return fmt.Errorf("%w: the cluster %s would refuse it", store.ErrInvalid, d.Cluster)
	}
	return nil
}

// remarks are what there is to say of a manifest beside its text.
func remarks(d store.ManifestDraft) string {
	var b strings.Builder
	for _, p := range d.Problems {
		b.WriteString(problemLine(p) + "\n")
	}
	for _, f := range d.Findings {
		fmt.Fprintf(&b, "finding %s, %s %s: %s\n", f.Code, f.Object, f.Field, f.Why)
	}
	if d.Unchecked != "" {
		b.WriteString(string(d.Unchecked) + "\n")
	}
	for _, c := range d.Changes {
		fmt.Fprintf(&b, "%s %s\n%s", c.What, c.Object, c.Diff)
	}
	return b.String()
}

func problemLine(p store.FieldProblem) string {
	var at []string
	if p.Field != "" {
		at = append(at, "--set "+p.Field+"=…")
	}
	for _, s := range []string{p.Object, p.Path} {
		if s != "" {
			at = append(at, s)
		}
	}
	return strings.Join(at, " ") + ": " + p.Text
}

func formOf(system string) (store.ManifestForm, bool) {
	for _, f := range manifests.Forms() {
		if f.System == system {
			return f, true
		}
	}
	return store.ManifestForm{}, false
}

// systemList lists the systems.
func systemList() string {
	var b strings.Builder
	b.WriteString("A manifest can be written for these systems:\n")
	for _, f := range manifests.Forms() {
		fmt.Fprintf(&b, "  %-12s %s\n", f.System, f.Title)
	}
	return b.String() + "\nNext: trackside manifest SYSTEM --fields\n"
}

// fieldList lists the fields of a form.
func fieldList(form store.ManifestForm) string {
	var b strings.Builder
	for _, f := range form.Fields {
		value := f.Default
		switch {
		case value == "" && f.Required:
			value = "(needed; for example " + f.Example + ")"
		case value == "":
			value = "(optional)"
		}
		fmt.Fprintf(&b, "  %-20s %s\n  %-20s   %s\n", f.Name, value, "", f.Label+": "+f.Help)
		if len(f.Choices) > 0 {
			fmt.Fprintf(&b, "  %-20s   One of %s.\n", "", strings.Join(f.Choices, ", "))
		}
	}
	return b.String() + "\nNext: trackside manifest " + form.System + " --name NAME --set FIELD=VALUE\n"
}

// Help is what --help of a system says beside the flags.
func (m manifestCmd) Help() string {
	return "Without a system it lists the systems; with --fields it lists the fields of one.\n\n  trackside manifest agyn --name eu-1 --set image=ghcr.io/agynio/k8s-runner:0.9.4 | kubectl apply -f -"
}
