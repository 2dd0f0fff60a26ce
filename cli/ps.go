package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/cyclops-fpga/cyclops/remote"
	"github.com/spf13/cobra"
)

type psOptions struct {
	host   string
	states []string
	name   string
	limit  int
	cursor string
	all    bool
	quiet  bool
	json   bool
}

// recent is how many jobs ps shows besides those that have not ended.
const recent = 20

// psReport is what `ps --json` prints, version 1.
type psReport struct {
	Version int           `json:"version"`
	Host    string        `json:"host"`
	Jobs    []api.JobInfo `json:"jobs"`
	Cursor  string        `json:"cursor,omitempty"`
}

func newPsCommand(app *App) *cobra.Command {
	var o psOptions
	cmd := &cobra.Command{
		Use:   "ps",
		Short: "List jobs: those that wait or run, and recent ones",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return app.ps(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.host, "host", "H", "", "host to ask (also $CYCLOPS_HOST)")
	flags.BoolVarP(&o.all, "all", "a", false, "list every job")
	flags.StringSliceVar(&o.states, "state", nil, "only jobs in this `STATE`; repeatable")
	flags.StringVar(&o.name, "name", "", "only jobs of this name")
	flags.IntVarP(&o.limit, "limit", "n", 0, fmt.Sprintf("list at most `N` jobs (default %d)", recent))
	flags.StringVar(&o.cursor, "cursor", "", "go on where a listing said that there is more")
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "print ids only")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func (app *App) ps(ctx context.Context, o psOptions) error {
	states, err := parseStates(o.states)
	if err != nil {
		return err
	}
	host, err := app.open(ctx, o.host)
	if err != nil {
		return err
	}
	defer host.Close()
	page, err := host.list(ctx, o, states)
	if err != nil {
		return err
	}
	switch {
	case o.json:
		return app.printJSON(psReport{1, host.Name, page.Jobs, page.Cursor})
	case o.quiet:
		for _, j := range page.Jobs {
			fmt.Fprintln(app.Out, j.ID)
		}
		return nil
	}
	if err := jobTable(page.Jobs, time.Now()).Write(app.Out, term.UseColour(app.Out)); err != nil {
		return err
	}
	if page.Cursor != "" && term.IsTerminal(app.Err) {
		fmt.Fprintf(app.stderr, "there are more: --all, or --cursor %s\n", page.Cursor)
	}
	return nil
}

func parseStates(words []string) ([]manifest.State, error) {
	var states []manifest.State
	for _, w := range words {
		s := manifest.State(w)
		if !slices.Contains(manifest.States, s) {
			return nil, api.Errorf(api.Usage, "states are "+joinStates(), "%q is no state of a job", w)
		}
		states = append(states, s)
	}
	return states, nil
}

func joinStates() string {
	words := make([]string, len(manifest.States))
	for i, s := range manifest.States {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

// list returns what the options ask for. Without any, jobs that have not ended come first,
// however old they are.
func (h *openHost) list(ctx context.Context, o psOptions, states []manifest.State) (api.JobPage, error) {
	ask := remote.ListOptions{States: states, Name: o.name, Limit: o.limit, Cursor: o.cursor}
	if o.all {
		return h.listAll(ctx, ask)
	}
	if ask.Limit <= 0 {
		ask.Limit = recent
	}
	page, err := h.client.List(ctx, ask)
	if err != nil || len(states) > 0 || o.cursor != "" || o.limit > 0 {
		return page, err
	}
	live, err := h.listAll(ctx, remote.ListOptions{States: []manifest.State{manifest.Queued, manifest.Running}, Name: o.name})
	if err != nil {
		return page, err
	}
	page.Jobs = mergeJobs(page.Jobs, live.Jobs)
	return page, nil
}

func (h *openHost) listAll(ctx context.Context, ask remote.ListOptions) (api.JobPage, error) {
	var all api.JobPage
	for {
		page, err := h.client.List(ctx, ask)
		if err != nil {
			return all, err
		}
		all.Jobs = append(all.Jobs, page.Jobs...)
		if page.Cursor == "" || ask.Limit > 0 && len(all.Jobs) >= ask.Limit {
			return all, nil
		}
		ask.Cursor = page.Cursor
	}
}

func mergeJobs(a, b []api.JobInfo) []api.JobInfo {
	all := append(a, b...)
	slices.SortFunc(all, func(x, y api.JobInfo) int { return int(y.Seq - x.Seq) })
	return slices.CompactFunc(all, func(x, y api.JobInfo) bool { return x.ID == y.ID })
}

func jobTable(jobs []api.JobInfo, now time.Time) *term.Table {
	t := term.NewTable("ID", "STATE", "NAME", "PROJECT", "AGE", "TIME", "COMMAND")
	for _, j := range jobs {
		t.Row(j.ID, stateText(j), nameText(j), dash(j.Project), human.Age(now.Sub(j.Accepted)), jobTime(j, now), shorten(commandText(j), 60))
		t.Colour(1, stateColour(j.State))
	}
	return t
}

// commandText is what a job runs, and where, when that is another's workspace.
func commandText(j api.JobInfo) string {
	if j.Beside == "" {
		return j.Command
	}
	return "beside " + j.Beside[:min(len(j.Beside), 8)] + ": " + j.Command
}

// stateText is the state and what else fits into a word or two: the exit code, the place in the queue.
func stateText(j api.JobInfo) string {
	text := string(j.State)
	switch {
	case j.State == manifest.Queued && j.Position > 0:
		return fmt.Sprintf("%s (%d)", text, j.Position)
	case j.State == manifest.Running && len(j.Steps) > 1:
		return fmt.Sprintf("%s %d/%d", text, j.Step+1, len(j.Steps))
	case j.State == manifest.Failed && j.Signal != "":
		return fmt.Sprintf("%s (%s)", text, j.Signal)
	case j.State == manifest.Failed && j.ExitCode != nil:
		return fmt.Sprintf("%s (%d)", text, *j.ExitCode)
	}
	return text
}

// nameText is a job's name, and whether it is pinned.
func nameText(j api.JobInfo) string {
	if j.Pinned {
		return dash(j.Name) + " (pinned)"
	}
	return dash(j.Name)
}

func stateColour(s manifest.State) term.Colour {
	switch s {
	case manifest.Succeeded:
		return term.Good
	case manifest.Failed, manifest.TimedOut:
		return term.Bad
	case manifest.Running:
		return term.Busy
	}
	return term.Warn
}

func jobTime(j api.JobInfo, now time.Time) string {
	switch {
	case j.Started == nil:
		return "-"
	case j.Ended == nil:
		return human.Duration(now.Sub(*j.Started))
	}
	return human.Duration(j.Ended.Sub(*j.Started))
}

func dash(text string) string { return firstOf(text, "-") }

func shorten(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n-1]) + "…"
}
