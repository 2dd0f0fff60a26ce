package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// depthVariable counts local tools that were started in place of a host's inside each other.
const (
	depthVariable = "CYCLOPS_SHIM"
	maxShimDepth  = 16
)

// runOrLocal runs the job; where the host cannot and nothing has run there, the local tool.
func (app *App) runOrLocal(ctx context.Context, f *runFlags, args []string, dashed bool) error {
	app.asTool = f.shim
	if f.shim && !f.tty && !leadsGroup() {
		f.noTTY = true // make runs many side by side on one terminal; raw, it would not even take Ctrl-C
	}
	if err := checkLive(f.whileRunning); err != nil {
		return err
	}
	if !f.orLocal {
		return app.run(ctx, f, args, dashed)
	}
	if f.shell != "" || len(args) == 0 || f.detach {
		return api.Errorf(api.Usage, "cyclops run --or-local -- TOOL ARG…", "--or-local needs a command that can run here too")
	}
	// Found before anything else: what keeps the host from running it must not be looked into for nothing.
	file, notHere := localTool(args[0], os.Getenv("PATH"))
	stdin := replay(app)
	err := app.run(ctx, f, args, dashed)
	why := f.cannot(err)
	if why == "" || notHere != nil {
		return err
	}
	app.warn("%s: running the local %s", why, file)
	return app.runHere(f, file, args, stdin)
}

// cannot says why the host did not run the command, or nothing: it did, or may have.
func (f *runFlags) cannot(err error) string {
	var exit *exitError
	if errors.As(err, &exit) && exit.lacks {
		return "the host has no such tool"
	}
	if f.submitted {
		return ""
	}
	switch api.KindOf(err) {
	case api.Unreachable, api.NoExecutor, api.Auth:
		return err.Error()
	}
	return ""
}

// localTool finds a tool in PATH, passing over shims: one would ask the host again.
func localTool(name, path string) (string, error) {
	if strings.ContainsRune(name, filepath.Separator) {
		if !isExecutable(name) || isShim(name) {
			return "", os.ErrNotExist
		}
		return filepath.Abs(name)
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if isExecutable(file) && !isShim(file) {
			return filepath.Abs(file)
		}
	}
	return "", os.ErrNotExist
}

// runHere becomes the local tool, in the directory and with the variables that the job would have had.
func (app *App) runHere(f *runFlags, file string, args []string, stdin *replayed) error {
	depth, _ := strconv.Atoi(os.Getenv(depthVariable))
	if depth >= maxShimDepth {
		return api.Errorf(api.Conflict, "look at what "+file+" runs", "%s calls itself through a shim without end", args[0])
	}
	if f.dir != "" {
		if err := os.Chdir(f.dir); err != nil {
			return api.Errorf(api.Usage, "", "unable to run in %s: %w", f.dir, err)
		}
	}
	env := append(os.Environ(), depthVariable+"="+strconv.Itoa(depth+1))
	for _, v := range f.env {
		if strings.Contains(v, "=") {
			env = append(env, v)
		}
	}
	app.inherited.passOn()
	if stdin.untouched() {
		return execHere(file, args, env)
	}
	return stdin.run(file, args, env)
}

// replayed is an input of which the host's job may have been sent something before it turned out that there
// is no tool to read it. A local tool gets it from the beginning.
type replayed struct {
	file  *os.File // that seeks back to begin; nil: it cannot
	begin int64
	from  *os.File // a pipe; nil: the input has not been touched
	in    *os.File // what app reads instead

	mu    sync.Mutex
	kept  []byte
	out   *os.File
	again chan struct{} // closed when the tool that comes second has been given what was kept; nil: there is none
	ended bool
}

// maxReplay is more than what is sent ahead of a job that does not read.
const maxReplay = 1 << 20

// replay makes app's input one that can be read again.
func replay(app *App) *replayed {
	r := &replayed{}
	if app.In == nil {
		return r
	}
	info, err := app.In.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice != 0 {
		return r
	}
	if at, err := app.In.Seek(0, io.SeekCurrent); err == nil && info.Mode().IsRegular() {
		r.file, r.begin = app.In, at
		return r
	}
	if r.in, r.out, err = os.Pipe(); err != nil {
		return r
	}
	r.from, app.In = app.In, r.in
	go r.pump()
	return r
}

// pump ends with the input or the process: a read cannot be interrupted.
func (r *replayed) pump() {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.from.Read(buf)
		r.mu.Lock()
		out, again := r.out, r.again
		if again == nil && len(r.kept) < maxReplay {
			r.kept = append(r.kept, buf[:n]...)
		}
		r.ended = err != nil
		r.mu.Unlock()
		if again != nil {
			<-again
		}
		if n > 0 {
			_, _ = out.Write(buf[:n]) // a reader that has enough is no error here
		}
		if err != nil {
			out.Close()
			return
		}
	}
}

// untouched brings the input back to its beginning if nothing is lost by that.
func (r *replayed) untouched() bool {
	if r.file != nil {
		_, err := r.file.Seek(r.begin, io.SeekStart)
		return err == nil
	}
	return r.from == nil
}

// run gives the tool all of the input.
func (r *replayed) run(file string, args, env []string) error {
	in, out, err := os.Pipe()
	if err != nil {
		return api.Errorf(api.Internal, "", "unable to run %s: %w", file, err)
	}
	again := make(chan struct{})
	r.mu.Lock()
	r.out, r.again = out, again
	ended := r.ended
	r.mu.Unlock()
	r.in.Close() // whoever waits for room in it goes on
	go func() {
		defer close(again)
		_, _ = out.Write(r.kept)
		if ended {
			out.Close()
		}
	}()
	return runChild(file, args, env, in)
}
