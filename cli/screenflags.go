package cli

import (
	"os"
	"strings"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/spf13/pflag"
)

// screenFlags say how a job is shown, for all verbs that follow one.
type screenFlags struct {
	tty      bool
	noTTY    bool
	tie      bool
	keys     keysFlag
	patience patienceFlag
}

// keysFlag is the value of --detach-keys; the empty one means that there are none.
type keysFlag struct{ set *string }

// Set reads the flag.
func (f *keysFlag) Set(text string) error {
	f.set = &text
	_, err := term.ParseKeys(text)
	return err
}

// String is empty: the help says in words what the default is.
func (f *keysFlag) String() string { return "" }

// Type names the value in the help.
func (f *keysFlag) Type() string { return "keys" }

// register adds the flags of every verb that carries input.
func (f *screenFlags) register(flags *pflag.FlagSet) {
	flags.Var(&f.keys, "detach-keys", "`KEYS` that leave a job on a terminal running (default \""+term.DefaultKeys+"\"; \"\": none)")
	f.patience.register(flags)
}

// registerTerminal adds those of the verbs that start a job.
func (f *screenFlags) registerTerminal(flags *pflag.FlagSet) {
	flags.BoolVarP(&f.tty, "tty", "t", false, "give the job a terminal, even where this is none")
	flags.BoolVarP(&f.noTTY, "no-tty", "T", false, "give it pipes, even on a terminal: stderr stays apart")
	flags.BoolVar(&f.tie, "tie", false, "cancel the job when SIGTERM or SIGHUP ends this command, instead of leaving it running")
}

// detachKeys follows the precedence: flag, user config, the usual ones.
func (f *screenFlags) detachKeys(config *hosts.Config) (*term.Keys, error) {
	text := term.DefaultKeys
	if config.DetachKeys != nil {
		text = *config.DetachKeys
	}
	if f.keys.set != nil {
		text = *f.keys.set
	}
	keys, err := term.ParseKeys(text)
	if err != nil {
		return nil, api.Errorf(api.Usage, `detach_keys = "`+term.DefaultKeys+`" in the config, or --detach-keys`, "unable to read the keys that detach: %w", err)
	}
	return keys, nil
}

// fillTerminal gives the job a terminal as large as this one when it would have one here.
func (f *screenFlags) fillTerminal(app *App, job *manifest.Job) error {
	if f.tty && f.noTTY {
		return api.Errorf(api.Usage, "", "--tty and --no-tty exclude each other")
	}
	// In the background a raw terminal would stop this process; a local tool would go on.
	here := term.IsTerminal(app.In) && term.IsTerminal(app.Out) && term.Foreground(app.In)
	if f.noTTY || !f.tty && !here {
		return nil
	}
	job.Terminal = &manifest.Terminal{Term: localTerm(job), Rows: usualRows, Cols: usualCols}
	for _, file := range []*os.File{app.In, app.Out, app.Err} {
		rows, cols, ok := term.Size(file)
		if !ok {
			continue
		}
		if rows > 0 && cols > 0 {
			job.Terminal.Rows, job.Terminal.Cols = rows, cols
		} else {
			app.warn("this terminal says that it has %d rows and %d columns; the job gets %d and %d", rows, cols, usualRows, usualCols)
		}
		break
	}
	addLocale(job, os.Environ())
	return nil
}

// localTerm is the TERM that --env or the project wants, else that of here.
func localTerm(job *manifest.Job) string {
	for _, v := range job.Env {
		if v.Name == "TERM" && v.Value != "" {
			return v.Value
		}
	}
	return firstOf(os.Getenv("TERM"), "dumb")
}

// addLocale passes on what programs on a terminal go by, unless the job has its own.
func addLocale(job *manifest.Job, environ []string) {
	has := map[string]bool{}
	for _, v := range job.Env {
		has[v.Name] = true
	}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		if has[name] || value == "" || name != "LANG" && name != "COLORTERM" && !strings.HasPrefix(name, "LC_") || !manifest.ValidVariableName(name) {
			continue
		}
		job.SetEnv(manifest.Variable{Name: name, Value: value})
	}
}
