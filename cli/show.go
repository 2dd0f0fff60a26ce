package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/spf13/cobra"
)

// showReport is what `show --json` prints, version 1.
type showReport struct {
	Version  int                `json:"version"`
	Host     string             `json:"host"`
	Job      api.JobInfo        `json:"job"`
	Manifest *manifest.Manifest `json:"manifest,omitempty"` // once the job has ended
}

func newShowCommand(app *App) *cobra.Command {
	var host string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show JOB",
		Short: "Print what is known of a job",
		Long:  "Print a job's state, steps, inputs, outputs and where its files are.\n" + jobHelp,
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return app.show(cmd.Context(), host, args[0], asJSON) },
	}
	cmd.Flags().StringVarP(&host, "host", "H", "", "host of the job (also $CYCLOPS_HOST)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (app *App) show(ctx context.Context, hostFlag, ref string, asJSON bool) error {
	host, id, err := app.find(ctx, hostFlag, ref)
	if err != nil {
		return err
	}
	defer host.Close()
	r := showReport{Version: 1, Host: host.Name}
	if r.Job, err = host.client.Show(ctx, id); err != nil {
		return err
	}
	if r.Job.State.Ended() {
		if r.Manifest, err = host.manifest(ctx, id); err != nil {
			return err
		}
	}
	if asJSON {
		return app.printJSON(r)
	}
	r.print(app.Out, term.UseColour(app.Out), time.Now())
	return nil
}

// manifest reads an ended job's manifest from the executor.
func (h *openHost) manifest(ctx context.Context, id string) (*manifest.Manifest, error) {
	data, err := h.client.Manifest(ctx, id)
	if err != nil {
		return nil, err
	}
	return decodeManifest(data)
}

func (r *showReport) print(w io.Writer, colour bool, now time.Time) {
	j := r.Job
	line := func(key, format string, args ...any) {
		fmt.Fprintf(w, "%s %s\n", term.Paint(colour, term.Dim, fmt.Sprintf("%-10s", key)), term.Clean(fmt.Sprintf(format, args...)))
	}
	line("job", "%s/%s", r.Host, j.ID)
	if j.Name != "" {
		line("name", "%s", j.Name)
	}
	fmt.Fprintf(w, "%s %s\n", term.Paint(colour, term.Dim, "state     "), term.Paint(colour, stateColour(j.State), stateText(j)))
	if j.Reason != "" {
		line("reason", "%s", j.Reason)
	}
	if j.WaitsFor != "" {
		line("waits for", "%s", j.WaitsFor)
	}
	if j.Pinned {
		line("pinned", "it is not removed until cyclops unpin %s", j.ID)
	}
	line("command", "%s", j.Command)
	if j.Beside != "" {
		line("beside", "%s", j.Beside)
	}
	line("owner", "%s", dash(j.Owner))
	line("accepted", "%s", j.Accepted.Local().Format(time.DateTime))
	if j.Started != nil {
		line("ran", "%s, from %s", jobTime(j, now), j.Started.Local().Format(time.DateTime))
	}
	line("workspace", "%s", j.Workspace)
	line("log", "%s", human.Size(j.LogSize))
	line("location", "%s", j.Location)
	for _, s := range j.Steps {
		if s.Name != "" {
			line("step", "%-12s %s", s.Name, stepText(s, now))
		}
	}
	if r.Manifest != nil {
		printManifestSummary(line, r.Manifest)
	}
}

func stepText(s api.StepInfo, now time.Time) string {
	switch {
	case s.Started == nil:
		return "not started"
	case s.Ended == nil:
		return "running for " + human.Duration(now.Sub(*s.Started))
	case s.ExitCode == nil:
		return human.Duration(s.Ended.Sub(*s.Started)) + ", ended by a signal"
	}
	return fmt.Sprintf("%s, exit code %d", human.Duration(s.Ended.Sub(*s.Started)), *s.ExitCode)
}

func printManifestSummary(line func(key, format string, args ...any), m *manifest.Manifest) {
	if m.Input.Snapshot != "" {
		line("inputs", "%d files, %s, snapshot %s", m.Input.Files, human.Size(m.Input.Bytes), m.Input.Snapshot.Short())
	}
	if text := commitText(m.Input.Git); text != "" {
		line("commit", "%s", text)
	}
	if m.Workspace.Seen != "" {
		line("seen at", "%s", m.Workspace.Seen)
	}
	if m.Workspace.NotSeen != "" {
		line("same path", "off: %s", m.Workspace.NotSeen)
	}
	line("used", "%s CPU, %s memory at most", human.Duration(time.Duration(m.Usage.CPUSeconds*float64(time.Second))), human.Size(m.Usage.PeakMemoryBytes))
	for _, a := range m.Artifacts {
		if !a.OwnLog() {
			line(string(a.Kind), "%-32s %10s%s", a.Name, human.Size(a.Size), staleText(a))
		}
	}
	for _, pattern := range m.Missing {
		line("missing", "%s", pattern)
	}
	for _, s := range m.Stale {
		line("stale", "%s: %s", s.Pattern, strings.Join(s.Paths, ", "))
	}
	for _, refused := range m.Refused {
		line("refused", "%s: %s", refused.Path, refused.Reason)
	}
}

// commitText says what the inputs stood on; of a document older than the names of changed files, only that there were some.
func commitText(g *manifest.Git) string {
	text := human.Commit(g)
	if text == "" || human.Changed(g) == "" {
		return text
	}
	return text + ": " + human.Changed(g)
}

func staleText(a manifest.Artifact) string {
	if a.Fresh {
		return ""
	}
	return "  (not written by this job)"
}
