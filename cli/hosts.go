package cli

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/spf13/cobra"
)

// askHost is how long `hosts` waits for each host.
const askHost = 5 * time.Second

// hostReport is one host of `hosts --json`, version 1.
type hostReport struct {
	Name    string     `json:"name"`
	Address string     `json:"address,omitempty"`
	Default bool       `json:"default"`
	Hello   *api.Hello `json:"hello,omitempty"`
	Error   *api.Error `json:"error,omitempty"`
}

type hostsReport struct {
	Version int          `json:"version"`
	Hosts   []hostReport `json:"hosts"`
}

func newHostsCommand(app *App) *cobra.Command {
	var asJSON, quiet bool
	cmd := &cobra.Command{
		Use:   "hosts",
		Short: "List the hosts of your config and how busy they are",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return app.hosts(cmd.Context(), asJSON, quiet) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print names only, ask nobody")
	return cmd
}

func (app *App) hosts(ctx context.Context, asJSON, quiet bool) error {
	config, err := hosts.Load(app.dirs)
	if err != nil {
		return err
	}
	list := config.List()
	if quiet {
		for _, h := range list {
			fmt.Fprintln(app.Out, h.Name)
		}
		return nil
	}
	chosen, err := config.Find("")
	if err != nil {
		return err
	}
	report := hostsReport{Version: 1, Hosts: make([]hostReport, len(list))}
	var asked sync.WaitGroup
	for i, h := range list {
		asked.Go(func() {
			report.Hosts[i] = app.askHost(ctx, h)
			report.Hosts[i].Default = h.Name == chosen.Name
		})
	}
	asked.Wait()
	if asJSON {
		return app.printJSON(report)
	}
	return hostTable(report.Hosts).Write(app.Out, term.UseColour(app.Out))
}

// askHost asks one host, and no person: a listing must not stop at a password.
func (app *App) askHost(ctx context.Context, h hosts.Host) hostReport {
	ctx, cancel := context.WithTimeout(ctx, askHost)
	defer cancel()
	r := hostReport{Name: h.Name, Address: h.Address}
	quiet := *app
	quiet.In = nil
	host := quiet.dial(h)
	defer host.Close()
	hello, err := host.client.Hello(ctx)
	if err != nil {
		r.Error = api.Errorf(api.KindOf(err), "", "%w", err)
		return r
	}
	r.Hello = &hello
	return r
}

func hostTable(list []hostReport) *term.Table {
	t := term.NewTable("HOST", "ADDRESS", "EXECUTOR", "RUNNING", "QUEUED", "SLOTS", "DISK FREE")
	for _, h := range list {
		name := h.Name
		if h.Default {
			name += " *"
		}
		if h.Hello == nil || h.Hello.Status == nil {
			t.Row(name, dash(h.Address), reason(h.Error), "-", "-", "-", "-")
			t.Colour(2, term.Bad)
			continue
		}
		s := h.Hello.Status
		version := h.Hello.Executor
		if s.Draining {
			version += ", drains"
		}
		t.Row(name, dash(h.Address), version, fmt.Sprint(s.Running), fmt.Sprint(s.Queued), fmt.Sprint(s.Slots), human.Size(s.DiskFree))
	}
	return t
}

func reason(e *api.Error) string {
	if e == nil {
		return "no answer"
	}
	return e.Message
}
