package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/spf13/cobra"
)

type gcOptions struct {
	age, size   string
	yes         bool
	json, quiet bool
}

// gcReport is what `gc --json` prints, version 1.
type gcReport struct {
	Version int    `json:"version"`
	Host    string `json:"host"`
	Removed bool   `json:"removed"` // false: it only tells
	Freed   int64  `json:"freed"`   // bytes that were freed, or would be
	api.GCReply
}

func newGCCommand(app *App) *cobra.Command {
	var o gcOptions
	cmd := &cobra.Command{
		Use:   "gc [HOST]",
		Short: "Show what of a host could be freed, and free it with --yes",
		Long: `Show what of a host could be freed: ended jobs over the host's retention,
workspaces that no job names, input content that nothing draws on, uploads that
nobody submitted, what removals left that were cut short, and executors that no
process runs any more. On a terminal it asks whether to free it; elsewhere --yes
does. Pinned jobs, and those that one which has not ended needs, stay.

A host without a retention keeps every job, unless --keep-age or --keep-size says
otherwise.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return app.gc(cmd.Context(), firstOf(args...), o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.age, "keep-age", "", "keep jobs that ended at most `TIME` ago, as 30d")
	flags.StringVar(&o.size, "keep-size", "", "keep the newest jobs, as many as take `SIZE`, as 200GiB")
	flags.BoolVarP(&o.yes, "yes", "y", false, "free it, and ask nobody")
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "print names only")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

// request reads the options.
func (o *gcOptions) request() (r api.GCRequest, err error) {
	if o.age != "" {
		age, err := human.ParseAge(o.age)
		if err != nil {
			return r, api.Errorf(api.Usage, "", "--keep-age: %w", err)
		}
		r.Age = max(1, int64(age/time.Second))
	}
	if o.size != "" {
		var size human.Bytes
		if err := size.UnmarshalText([]byte(o.size)); err != nil {
			return r, api.Errorf(api.Usage, "", "--keep-size: %w", err)
		}
		r.Size = int64(size)
	}
	return r, nil
}

func (app *App) gc(ctx context.Context, name string, o gcOptions) error {
	request, err := o.request()
	if err != nil {
		return err
	}
	host, err := app.open(ctx, name)
	if err != nil {
		return err
	}
	defer host.Close()
	if o.yes {
		return app.gcFree(ctx, host, request, o)
	}
	reply, err := host.client.GC(ctx, request)
	if err != nil {
		return err
	}
	report := newGCReport(host.Name, false, reply)
	if err := app.printGC(report, o); err != nil || o.json || o.quiet {
		return err
	}
	switch {
	case len(report.Items) == 0:
		return nil
	case !app.Interactive():
		fmt.Fprintln(app.stderr, "nothing was removed: --yes does it")
		return nil
	}
	yes, err := app.confirm(ctx, fmt.Sprintf("Free %s on %s? [y/N] ", human.Size(report.Freed), host.Name), false)
	if err != nil || !yes {
		return err
	}
	return app.gcFree(ctx, host, request, gcOptions{quiet: true})
}

// gcFree asks again for as long as one answer does not hold all.
func (app *App) gcFree(ctx context.Context, host *openHost, request api.GCRequest, o gcOptions) error {
	request.Remove = true
	all, err := host.client.GC(ctx, request)
	for more := all; err == nil && more.More && removedAny(more); {
		if more, err = host.client.GC(ctx, request); err == nil {
			all.Items = append(all.Items, more.Items...)
		}
	}
	report := newGCReport(host.Name, true, all)
	if printErr := app.printGC(report, o); err == nil {
		err = printErr
	}
	var failures []error
	for _, item := range report.Items {
		if item.Error != nil {
			failures = append(failures, item.Error)
		}
	}
	if err != nil {
		failures = append(failures, err)
	}
	return app.reportAll(failures)
}

// removedAny tells whether asking again can bring anything.
func removedAny(reply api.GCReply) bool {
	for _, item := range reply.Items {
		if item.Error == nil {
			return true
		}
	}
	return false
}

func newGCReport(host string, removed bool, reply api.GCReply) gcReport {
	r := gcReport{Version: 1, Host: host, Removed: removed, GCReply: reply}
	for _, item := range reply.Items {
		if item.Error == nil {
			r.Freed += item.Bytes
		}
	}
	r.More = reply.More && !removed
	return r
}

func (app *App) printGC(r gcReport, o gcOptions) error {
	if o.json {
		return app.printJSON(r)
	}
	if r.Warning != "" {
		app.warn("%s", r.Warning)
	}
	if o.quiet {
		for _, item := range r.Items {
			if item.Error == nil {
				fmt.Fprintln(app.Out, item.Name)
			}
		}
		return nil
	}
	if len(r.Items) > 0 {
		if err := gcTable(r.Items).Write(app.Out, term.UseColour(app.Out)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(app.Out, r.summary())
	return err
}

func gcTable(items []api.GCItem) *term.Table {
	t := term.NewTable("WHAT", "NAME", "SIZE", "WHY")
	for _, item := range items {
		if item.Error != nil {
			t.Row(item.Kind, item.Name, human.Size(item.Bytes), "stays: "+item.Error.Message)
			t.Colour(3, term.Bad)
			continue
		}
		t.Row(item.Kind, item.Name, human.Size(item.Bytes), item.Why)
	}
	return t
}

// summary says in a line what the table comes to, and by which rule jobs go.
func (r *gcReport) summary() string {
	text := fmt.Sprintf("%s would be freed on %s", human.Size(r.Freed), r.Host)
	if r.Removed {
		text = fmt.Sprintf("%s were freed on %s", human.Size(r.Freed), r.Host)
	}
	if r.More {
		text = "at least " + text
	}
	text += fmt.Sprintf("; %s kept for ended jobs", human.Size(r.Kept))
	switch {
	case r.Age > 0 && r.Size > 0:
		return text + fmt.Sprintf(", at most %s and for %s", human.Size(r.Size), human.Age(time.Duration(r.Age)*time.Second))
	case r.Age > 0:
		return text + fmt.Sprintf(", for %s", human.Age(time.Duration(r.Age)*time.Second))
	case r.Size > 0:
		return text + fmt.Sprintf(", at most %s", human.Size(r.Size))
	}
	return text + ", however old and however much"
}
