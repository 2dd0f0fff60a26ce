package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/caret"
	"github.com/cyclops-fpga/cyclops/remote"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/spf13/cobra"
)

type logsOptions struct {
	host   string
	follow bool
	tail   int
	since  string
	stamps bool
	stream string

	patience patienceFlag
}

func newLogsCommand(app *App) *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use:   "logs [flags] JOB",
		Short: "Print a job's log; -f goes on as it is written",
		Long:  "Print a job's log: what it wrote to stdout on stdout, what it wrote to stderr on stderr.\n" + jobHelp,
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return app.logs(cmd.Context(), &o, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.host, "host", "H", "", "host of the job (also $CYCLOPS_HOST)")
	flags.BoolVarP(&o.follow, "follow", "f", false, "go on until the job ends")
	flags.IntVarP(&o.tail, "tail", "n", 0, "begin `N` lines before the end")
	flags.StringVar(&o.since, "since", "", "leave out what is older than this `TIME` (RFC 3339) or duration (10m)")
	flags.BoolVarP(&o.stamps, "timestamps", "t", false, "begin each line with the time it was written")
	flags.StringVar(&o.stream, "stream", "", "only stdout or stderr")
	o.patience.register(flags)
	return cmd
}

func (app *App) logs(ctx context.Context, o *logsOptions, ref string) error {
	from, err := parseSince(o.since, time.Now())
	if err != nil {
		return err
	}
	if o.stream != "" && o.stream != "stdout" && o.stream != "stderr" {
		return api.Errorf(api.Usage, "", "--stream is stdout or stderr, not %q", o.stream)
	}
	host, id, err := app.find(ctx, o.host, ref)
	if err != nil {
		return err
	}
	defer host.Close()
	ask := api.Follow{Job: id, Log: true, Tail: o.tail, Since: from, Stream: o.stream, Once: !o.follow}
	defer context.AfterFunc(ctx, app.stopOutput)()
	if o.follow {
		return app.followLog(ctx, o, host, ask)
	}
	return showLog(ctx, host.client.Attach(nil, ask, nil), newLogWriter(term.JobWriter(app.stdout), term.JobWriter(app.stderr), o.stamps))
}

func showLog(ctx context.Context, a *remote.Attachment, out *logWriter) error {
	defer a.Close()
	_, err := a.Run(ctx, remote.Handler{Log: out.chunk})
	return errors.Join(err, out.flush())
}

// followLog goes on through broken lines, as a screen without input.
func (app *App) followLog(ctx context.Context, o *logsOptions, host *openHost, ask api.Follow) error {
	status := term.NewStatus(app.stderr)
	defer status.Close()
	app.status = status
	config, err := hosts.Load(app.dirs)
	if err != nil {
		return err
	}
	contact := app.newContact(o.patience, config, host.Name, status)
	defer contact.quiet()
	out := newLogWriter(status.Writer(term.JobWriter(app.stdout)), status.Writer(term.JobWriter(app.stderr)), o.stamps)
	return showLog(ctx, host.client.Attach(nil, ask, &contact.Patience), out)
}

func parseSince(text string, now time.Time) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d).UnixNano(), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, api.Errorf(api.Usage, "--since 10m, or --since 2026-11-21T08:00:00Z", "%q is neither a duration nor a time", text)
	}
	return t.UnixNano(), nil
}

// logWriter writes the chunks of a log to the streams they came from.
type logWriter struct {
	streams [2]io.Writer
	stamps  bool
	inLine  [2]bool
	shown   int64 // where the log goes on behind what was written of it, without stamps
}

func newLogWriter(stdout, stderr io.Writer, stamps bool) *logWriter {
	return &logWriter{streams: [2]io.Writer{stdout, stderr}, stamps: stamps}
}

func (l *logWriter) chunk(c api.LogChunk) error {
	i := 0
	if c.Stream == api.Stderr {
		i = 1
	}
	if !l.stamps {
		n, err := l.streams[i].Write(c.Data)
		l.shown = c.Offset + int64(n)
		return err
	}
	return l.stamped(i, c)
}

// flush shows the beginning of an escape sequence that never came to its end.
func (l *logWriter) flush() error {
	return errors.Join(caret.Flush(l.streams[0]), caret.Flush(l.streams[1]))
}

func (l *logWriter) stamped(i int, c api.LogChunk) error {
	stamp := time.Unix(0, c.Time).Format("2006-01-02T15:04:05.000000Z07:00 ")
	var b bytes.Buffer
	for line := range bytes.Lines(c.Data) {
		if !l.inLine[i] {
			b.WriteString(stamp)
		}
		b.Write(line)
		l.inLine[i] = line[len(line)-1] != '\n'
	}
	_, err := l.streams[i].Write(b.Bytes())
	return err
}
