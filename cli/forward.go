package cli

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/retry"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newForwardCommand(app *App) *cobra.Command {
	var host string
	cmd := &cobra.Command{
		Use:   "forward [flags] JOB [BIND:]PORT:HOST:PORT…",
		Short: "Carry ports of this machine to a job's host while it runs",
		Long: `Listen at PORT of this machine and carry each connection to HOST:PORT, as the
job's host calls it, for as long as the job runs. BIND is the address to listen
at: this machine alone without one, every address with * or an empty one. PORT 0
chooses one that is free. Connections to a queued job wait until it runs.

cyclops run -L does the same from a job's start.
` + jobHelp,
		Example: "  cyclops forward build 3121:localhost:3121     hw_server, for a Vivado here\n  cyclops forward @1 8080:localhost:80 5901:localhost:5901",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.forward(cmd.Context(), host, args[0], args[1:])
		},
	}
	cmd.Flags().StringVarP(&host, "host", "H", "", "host of the job (also $CYCLOPS_HOST)")
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func (app *App) forward(ctx context.Context, hostFlag, ref string, words []string) error {
	specs, err := parseForwards(words)
	if err != nil {
		return err
	}
	host, id, err := app.find(ctx, hostFlag, ref)
	if err != nil {
		return err
	}
	defer host.Close()
	info, err := host.client.Show(ctx, id)
	if err != nil {
		return err
	}
	if info.State.Ended() {
		return api.Errorf(api.Conflict, "cyclops retry "+id+" runs it again", "job %s has ended: there is nothing left to connect to", id)
	}
	f, err := app.listen(ctx, host, id, specs, forwardVoice{tell: true, warn: func(text string) { app.warn("%s", text) }})
	if err != nil {
		return err
	}
	defer f.Close()
	if info.State == manifest.Queued {
		fmt.Fprintf(app.stderr, "job %s is queued: connections wait until it runs\n", id)
	}
	config, err := hosts.Load(app.dirs)
	if err != nil {
		return err
	}
	forever := hosts.Forever // whoever forwards ports says when to stop
	contact := app.newContact(patienceFlag{&forever}, config, host.Name, nil)
	defer contact.quiet()
	contact.Alive()
	f.Start(&contact.Patience)
	select {
	case <-f.Ended():
		return f.Finish()
	case <-ctx.Done():
		return &exitError{code: exitCode(context.Cause(ctx))}
	}
}

func parseForwards(words []string) ([]remote.ForwardSpec, error) {
	specs := make([]remote.ForwardSpec, len(words))
	for i, word := range words {
		var err error
		if specs[i], err = remote.ParseForward(word); err != nil {
			return nil, err
		}
	}
	return specs, nil
}

// forwardVoice is how people are told of forwards.
type forwardVoice struct {
	tell bool // where connections lead; a port that was chosen is told in any case
	warn func(text string)
}

// listen takes the ports.
func (app *App) listen(ctx context.Context, host *openHost, id string, specs []remote.ForwardSpec, v forwardVoice) (*remote.Forwarder, error) {
	f := host.client.NewForwarder(ctx, id, v.refused())
	for _, s := range specs {
		if host.conn.Local() && leadsToItself(s) {
			if v.tell {
				fmt.Fprintf(app.stderr, "port %d is this machine's own: the job listens there itself\n", s.Port)
			}
			continue
		}
		at, err := f.Listen(s)
		if err != nil {
			f.Close()
			return nil, err
		}
		if v.tell || s.Port == 0 {
			fmt.Fprintln(app.stderr, forwardText(at, s.To, host.Name, id))
		}
	}
	return f, nil
}

func forwardText(at net.Addr, to, host, id string) string {
	return fmt.Sprintf("forwarding %s → %s on %s for job %s", at, to, host, id)
}

// leadsToItself tells whether a port of this machine is to lead to the same port of this machine,
// which a job could then not listen at.
func leadsToItself(s remote.ForwardSpec) bool {
	host, port, err := net.SplitHostPort(s.To)
	ip := net.ParseIP(host)
	return err == nil && port == strconv.Itoa(s.Port) && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// refused tells of connections that were not to be had, each reason once in a row: a browser
// tries for ever.
func (v forwardVoice) refused() func(to string, err error) {
	var mu sync.Mutex
	last := map[string]string{}
	return func(to string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if text := err.Error(); last[to] != text {
			last[to] = text
			v.warn(fmt.Sprintf("no connection to %s: %s", to, text))
		}
	}
}

// forwardFlags are the ports that run carries to the job's host.
type forwardFlags struct{ words []string }

func (f *forwardFlags) register(flags *pflag.FlagSet) {
	flags.StringArrayVarP(&f.words, "forward", "L", nil, "carry a port here to the job's host while it runs: `[BIND:]PORT:HOST:PORT`; repeatable")
}

// forwarding is what run -L carries; nil without it.
type forwarding struct{ *remote.Forwarder }

// forward takes the ports before the job is sent: one that is in use must not cost a run.
func (t *trip) forward(ctx context.Context, f forwardFlags) (*forwarding, error) {
	if len(f.words) == 0 {
		return nil, nil
	}
	specs, err := parseForwards(f.words)
	if err != nil {
		return nil, err
	}
	v := forwardVoice{tell: term.IsTerminal(t.app.Err) || t.app.verbose, warn: t.screen.warn}
	forwarder, err := t.app.listen(ctx, t.host, t.job.ID, specs, v)
	if err != nil {
		return nil, err
	}
	return &forwarding{forwarder}, nil
}

// start lets connections through once the job, which has been accepted, runs.
func (f *forwarding) start(p *retry.Patience) {
	if f != nil {
		f.Start(p)
	}
}

// finish lets what the job wrote last arrive.
func (f *forwarding) finish() {
	if f != nil {
		_ = f.Finish() // that the job ended is known already
	}
}

func (f *forwarding) close() {
	if f != nil {
		f.Close()
	}
}
