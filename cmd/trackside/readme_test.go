package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// readmeRow is a line of README's table of flags: flag, variable, default, meaning.
var readmeRow = regexp.MustCompile("(?m)^\\| `(--[a-z-]+)` \\| `([A-Z_]+)` \\| ([^|]+) \\| [^|]+ \\|$")

// flags are all flags of the commands as README is to have them: the flag, its variable and its default.
func flags(t *testing.T) (out [][3]string) {
	t.Helper()
	parser, err := kong.New(&cli{}, kong.DefaultEnvars("TRACKSIDE"))
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range parser.Model.Children {
		for _, f := range command.Flags {
			if len(f.Envs) == 0 {
				continue // of one command alone, whose --help tells it
			}
			row := [3]string{"--" + f.Name, strings.Join(f.Envs, ","), "none"}
			switch {
			case f.Default != "":
				row[2] = "`" + f.Default + "`"
			case f.IsBool():
				row[2] = "off"
			}
			if !slices.Contains(out, row) {
				out = append(out, row)
			}
		}
	}
	return out
}

func TestReadmeNamesEveryFlag(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][3]string
	for _, m := range readmeRow.FindAllStringSubmatch(string(text), -1) {
		rows = append(rows, [3]string{m[1], m[2], strings.TrimSpace(m[3])})
	}
	all := flags(t)
	for _, f := range all {
		if !slices.Contains(rows, f) {
			t.Errorf("README.md lacks the row | `%s` | `%s` | %s | … |", f[0], f[1], f[2])
		}
	}
	for _, r := range rows {
		if !slices.Contains(all, r) {
			t.Errorf("README.md has a row that is not so: %v", r)
		}
	}
}

// A variable that is misspelt in a manifest would be ignored without a word.
func TestDeploySetsVariablesThatExist(t *testing.T) {
	known := map[string]bool{}
	for _, f := range flags(t) {
		known[f[1]] = true
	}
	name := regexp.MustCompile(`- name: (TRACKSIDE_\S+)`)
	set := 0
	err := filepath.WalkDir("../../deploy", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range name.FindAllStringSubmatch(string(text), -1) {
			set++
			if !known[m[1]] {
				t.Errorf("%s sets %s, which no flag reads", path, m[1])
			}
		}
		return err
	})
	if err != nil || set == 0 {
		t.Fatalf("%d variables found: %v", set, err)
	}
}
