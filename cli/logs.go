package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/caret"
	"github.com/cyclops-fpga/cyclops/manifest/human"
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

	find     string
	finding  bool // --find was given
	problems bool

	patience patienceFlag
}

func newLogsCommand(app *App) *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use:   "logs [flags] JOB",
		Short: "Print a job's log; -f goes on as it is written",
		Long: `Print a job's log: what it wrote to stdout on stdout, what it wrote to stderr on stderr.

--find and --problems print only the lines that have what is looked for, all of them
on stdout. The host does the looking. They end as grep does: with 0 where there are
such lines, with 1 where there are none, with 2 where the log could not be searched.
` + jobHelp,
		Example: "  cyclops logs -f @1\n  cyclops logs --find 'slack (VIOLATED)' build\n  cyclops logs --problems build",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.finding = cmd.Flags().Changed("find")
			if err := o.check(); err != nil {
				return err
			}
			err := app.logs(cmd.Context(), &o, args[0])
			if o.searches() {
				return asGrep(err)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.host, "host", "H", "", "host of the job (also $CYCLOPS_HOST)")
	flags.BoolVarP(&o.follow, "follow", "f", false, "go on until the job ends")
	flags.IntVarP(&o.tail, "tail", "n", 0, "begin `N` lines before the end")
	flags.StringVar(&o.since, "since", "", "leave out what was written before this `TIME`: 10m or 2d ago, or a date")
	flags.BoolVarP(&o.stamps, "timestamps", "t", false, "begin each line with the time it was written")
	flags.StringVar(&o.stream, "stream", "", "only stdout or stderr")
	flags.StringVar(&o.find, "find", "", "print the lines that have this `TEXT`; small letters stand for large ones too, unless it has large ones")
	flags.BoolVar(&o.problems, "problems", false, "print the lines that tell of errors and warnings")
	o.patience.register(flags)
	return cmd
}

func (o *logsOptions) searches() bool { return o.finding || o.problems }

// check refuses what would be left out of account: a search that is narrower or wider than what
// was asked for looks like an answer.
func (o *logsOptions) check() error {
	switch {
	case o.stream != "" && o.stream != "stdout" && o.stream != "stderr":
		return api.Errorf(api.Usage, "", "--stream is stdout or stderr, not %q", o.stream)
	case o.finding && o.problems:
		return api.Errorf(api.Usage, "search twice", "--find and --problems exclude each other")
	case o.searches() && (o.follow || o.tail != 0 || o.since != ""):
		return api.Errorf(api.Usage, "cyclops logs -f JOB | grep TEXT goes on with the job", "--find and --problems look through the log as it is now, without --follow, --tail and --since")
	case o.finding && (o.find == "" || strings.Contains(o.find, "\n")):
		return api.Errorf(api.Usage, "", "--find is a text within a line, not %q", o.find)
	}
	return nil
}

func (app *App) logs(ctx context.Context, o *logsOptions, ref string) error {
	since, err := parseMoment("since", o.since, time.Now())
	if err != nil {
		return err
	}
	host, id, err := app.find(ctx, o.host, ref)
	if err != nil {
		return err
	}
	defer host.Close()
	defer context.AfterFunc(ctx, app.stopOutput)()
	if o.searches() {
		return app.searchLog(ctx, o, host, id)
	}
	ask := api.Follow{Job: id, Log: true, Tail: o.tail, Stream: o.stream, Once: !o.follow}
	if !since.IsZero() {
		ask.Since = since.UnixNano()
	}
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

// parseMoment reads the time that a flag says; none: the zero time.
func parseMoment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := human.ParseMoment(text, now)
	if err != nil {
		return t, api.Errorf(api.Usage, "--"+flag+" 10m, 2d, 2026-11-21 or 2026-11-21T08:00:00Z", "%q is neither a duration nor a date", text)
	}
	return t, nil
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

// stampOf is what a line begins with that says when it was written.
func stampOf(c api.LogChunk) string {
	return time.Unix(0, c.Time).Format("2006-01-02T15:04:05.000000Z07:00 ")
}

func (l *logWriter) stamped(i int, c api.LogChunk) error {
	stamp := stampOf(c)
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
