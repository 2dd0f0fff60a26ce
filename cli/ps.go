package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/cyclops-fpga/cyclops/remote"
	"github.com/cyclops-fpga/cyclops/tui"
	"github.com/spf13/cobra"
)

type psOptions struct {
	host    string
	states  []string
	name    string
	project string
	owner   string
	since   string
	until   string
	find    string
	limit   int
	cursor  string
	all     bool
	quiet   bool
	json    bool
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
		Long: `List jobs: those that wait or run, and recent ones. Flags that select jobs must all
hold; --since and --until are about when a job was accepted.`,
		Example: "  cyclops ps --state failed,lost --since 2d\n  cyclops ps --project blinky --find 'synth uart'",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return app.ps(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.host, "host", "H", "", "host to ask (also $CYCLOPS_HOST)")
	flags.BoolVarP(&o.all, "all", "a", false, "list every job")
	flags.StringSliceVar(&o.states, "state", nil, "only jobs in this `STATE`; repeatable")
	flags.StringVar(&o.name, "name", "", "only jobs of this name")
	flags.StringVar(&o.project, "project", "", "only jobs of this project")
	flags.StringVar(&o.owner, "owner", "", "only jobs of this owner")
	flags.StringVar(&o.since, "since", "", "only jobs from this `TIME` on: 30m, 6h, 2d or 1w ago, or a date")
	flags.StringVar(&o.until, "until", "", "only jobs from before this `TIME`")
	flags.StringVar(&o.find, "find", "", "only jobs with all these `WORDS` in what one reads of them, small letters or large")
	flags.IntVarP(&o.limit, "limit", "n", 0, fmt.Sprintf("list at most `N` jobs (default %d)", recent))
	flags.StringVar(&o.cursor, "cursor", "", "go on where a listing said that there is more")
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "print ids only")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func (app *App) ps(ctx context.Context, o psOptions) error {
	q, err := o.query(time.Now())
	if err != nil {
		return err
	}
	host, err := app.open(ctx, o.host)
	if err != nil {
		return err
	}
	defer host.Close()
	page, err := host.list(ctx, o, q)
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

// query is what the screen's filter would be that selects the same, but for what must be equal:
// the host alone sees to that.
func (o *psOptions) query(now time.Time) (q tui.Query, err error) {
	if q.States, err = parseStates(o.states); err != nil {
		return q, err
	}
	if q.Since, err = parseMoment("since", o.since, now); err != nil {
		return q, err
	}
	q.Until, err = parseMoment("until", o.until, now)
	q.Words = strings.Fields(strings.ToLower(o.find))
	return q, err
}

// list returns what the options ask for. Where they name neither states nor a number, jobs that have
// not ended are among them, however old they are.
func (h *openHost) list(ctx context.Context, o psOptions, q tui.Query) (api.JobPage, error) {
	ask := remote.ListOptions{
		States: q.States, Name: o.name, Project: o.project, Owner: o.owner, Since: q.Since, Until: q.Until,
		Text: q.IndexedText(h.Name), Limit: o.limit, Cursor: o.cursor,
	}
	if o.all {
		return h.listSome(ctx, ask, q)
	}
	if ask.Limit <= 0 {
		ask.Limit = recent
	}
	page, err := h.listSome(ctx, ask, q)
	if err != nil || len(q.States) > 0 || o.cursor != "" || o.limit > 0 {
		return page, err
	}
	ask.States, ask.Limit = []manifest.State{manifest.Queued, manifest.Running}, 0
	live, err := h.listSome(ctx, ask, q)
	if err != nil {
		return page, err
	}
	page.Jobs = mergeJobs(page.Jobs, live.Jobs)
	return page, nil
}

// looked is how many jobs are asked for at once where words select among them here.
const looked = 200

// listSome returns the first ask.Limit jobs that q holds for, all where that is 0, and where the list
// goes on. A host finds words also where nobody reads them, as in the names of fields, and does not
// find all: without q the list would have jobs that the screen's leaves out.
func (h *openHost) listSome(ctx context.Context, ask remote.ListOptions, q tui.Query) (some api.JobPage, err error) {
	most := ask.Limit
	if len(q.Words) > 0 {
		ask.Limit = looked
	}
	for {
		page, err := h.client.List(ctx, ask)
		if err != nil {
			return some, err
		}
		for i, j := range page.Jobs {
			if !q.Holds(h.Name, &j) {
				continue
			}
			if some.Jobs = append(some.Jobs, j); len(some.Jobs) == most {
				if i+1 < len(page.Jobs) || page.Cursor != "" {
					some.Cursor = strconv.FormatInt(j.Seq, 10)
				}
				return some, nil
			}
		}
		if ask.Cursor = page.Cursor; page.Cursor == "" {
			return some, nil
		}
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
