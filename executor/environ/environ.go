//go:build linux

// Package environ finds out which environment jobs get: the login shell's, changed by the
// set-up lines of named tools.
package environ

import (
	"slices"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// Tool is a named tool environment of the host's config.
type Tool struct {
	Name  string `json:"name"`
	Setup string `json:"setup"` // shell lines; bash where there is one
}

// Login is what the login shell gives to jobs.
type Login struct {
	Shell   string
	Vars    []string // NAME=value
	Warning string   // why Vars are not the login shell's, for people
}

// Report names the variables, never their values, but for PATH.
func (l Login) Report() api.EnvironmentReport {
	r := api.EnvironmentReport{Shell: l.Shell, Warning: l.Warning}
	for _, v := range l.Vars {
		name, value, _ := strings.Cut(v, "=")
		r.Names = append(r.Names, name)
		if name == "PATH" {
			r.Path = value
		}
	}
	slices.Sort(r.Names)
	return r
}

// Get returns the value that vars give to name; the last one counts.
func Get(vars []string, name string) string {
	for _, v := range slices.Backward(vars) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// Set returns vars with name set to value once, leaving vars itself alone.
func Set(vars []string, name, value string) []string {
	out := slices.DeleteFunc(slices.Clone(vars), func(v string) bool { return strings.HasPrefix(v, name+"=") })
	return append(out, name+"="+value)
}

// ours tells whether a variable belongs to the connection, to Cyclops or to the shell that is
// asked, so that a job must not see it.
func ours(v string) bool {
	name, _, _ := strings.Cut(v, "=")
	switch name {
	case "_", "SHLVL", "PWD", "OLDPWD", "TERM", "COLUMNS", "LINES",
		"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "INVOCATION_ID", "JOURNAL_STREAM", "MAINPID":
		return true
	}
	return name == "" || strings.HasPrefix(name, "SSH_") || strings.HasPrefix(name, "CYCLOPS_")
}

// Clean returns vars without those that a job must not see.
func Clean(vars []string) []string {
	return slices.DeleteFunc(slices.Clone(vars), ours)
}
