package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote"
	"github.com/cyclops-fpga/cyclops/remote/connect"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/journal"
	"github.com/cyclops-fpga/cyclops/remote/project"
)

// openHost is a host that verbs talk to.
type openHost struct {
	hosts.Host
	conn   *connect.Conn
	client *remote.Client
}

// Close gives the host up; its link stays for the next command.
func (h *openHost) Close() {
	h.client.Close()
	h.conn.Close()
}

// open opens the host of the flag, else the one that run would choose here.
func (app *App) open(ctx context.Context, flag string) (*openHost, error) {
	root, err := project.Find("")
	if err != nil {
		root = &project.Root{File: &project.File{}} // a broken cyclops.toml must not keep anyone from `ps`
	}
	host, err := app.chooseHost(ctx, flag, root)
	if err != nil {
		return nil, err
	}
	return app.dial(host), nil
}

// dial prepares a way to host; nothing is sent yet.
func (app *App) dial(host hosts.Host) *openHost {
	conn := connect.Open(host, app.connectOptions())
	return &openHost{Host: host, conn: conn, client: remote.NewClient(conn)}
}

func (app *App) connectOptions() connect.Options {
	o := connect.Options{Dirs: app.dirs, SSHConfig: app.sshConfig, Self: app.self, Log: app.logger()}
	if app.Interactive() {
		o.Prompter = &prompter{app.Streams, app.status, app.screen}
	}
	return o
}

func (app *App) logger() *slog.Logger {
	if !app.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(app.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// chooseHost follows the precedence: flag, environment, cyclops.toml, user config, this machine.
func (app *App) chooseHost(ctx context.Context, flag string, root *project.Root) (hosts.Host, error) {
	config, err := hosts.Load(app.dirs)
	if err != nil {
		return hosts.Host{}, err
	}
	if name := firstOf(flag, os.Getenv("CYCLOPS_HOST")); name != "" {
		return config.Find(name)
	}
	if root.File.Host == "" {
		return config.Find("")
	}
	host, err := config.Find(root.File.Host)
	if err != nil || host.Configured {
		return host, err
	}
	return host, app.confirmHost(ctx, root, host)
}

// confirmHost asks once for each root: a cloned repository does not choose who gets the tree.
func (app *App) confirmHost(ctx context.Context, root *project.Root, host hosts.Host) error {
	known, err := journal.Confirmed(app.dirs, root.Dir, host.Name)
	if err != nil || known {
		return err
	}
	if !app.Interactive() {
		return api.Errorf(api.Refused, "add [hosts."+host.Name+"] to your own config, or say --host "+host.Name,
			"%s names the host %s, which your config does not know", root.Path, host.Name)
	}
	yes, err := app.confirm(ctx, fmt.Sprintf("%s wants this tree sent to the host %s. Send it there, now and later? [y/N] ", root.Path, host.Name), false)
	if err != nil {
		return err
	}
	if !yes {
		return api.Errorf(api.Refused, "say --host to choose another host", "not sent to %s", host.Name)
	}
	return journal.Confirm(app.dirs, root.Dir, host.Name)
}

// confirm asks a person on the terminal; an empty answer is the default.
func (app *App) confirm(ctx context.Context, question string, byDefault bool) (bool, error) {
	answer, err := (&prompter{app.Streams, app.status, app.screen}).Prompt(ctx, connect.Prompt{Text: question, Echo: true})
	switch strings.ToLower(answer) {
	case "":
		return byDefault, err
	case "y", "yes":
		return true, err
	}
	return false, err
}

func (app *App) journal() *journal.Journal { return journal.Open(app.dirs) }

// warn prints one line for a person about something that did not stop the command.
func (app *App) warn(format string, args ...any) {
	line := term.Paint(term.UseColour(app.Err), term.Warn, "cyclops:") + " " + term.Clean(fmt.Sprintf(format, args...))
	if !app.screen.Load().say(app.stderr, line) {
		fmt.Fprintln(app.stderr, line)
	}
}

// able tells whether an executor can do what not every one of its API's version can; lacks says what.
func able(hello api.Hello, host, capability, lacks string) error {
	if slices.Contains(hello.Capabilities, capability) {
		return nil
	}
	return api.Errorf(api.Incompatible, "cyclops install "+host+" brings it up to date", "executor %s on %s %s", hello.Executor, host, lacks)
}
