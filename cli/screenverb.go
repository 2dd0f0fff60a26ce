package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/fetch"
)

// verb does within this process what the command line does, so that screen and command line cannot
// differ, and returns what it says. Nobody is asked anything.
func (s *screenClient) verb(ctx context.Context, words []string, fetching func(fetch.Progress)) (string, error) {
	out, outSaid, err := listen()
	if err != nil {
		return "", err
	}
	complaints, errSaid, err := listen()
	if err != nil {
		out.Close()
		return "", err
	}
	app := s.app.captured(out, complaints)
	app.fetching = fetching
	root := newRootCommand(app)
	root.SetArgs(append(s.options(), words...))
	err = root.ExecuteContext(ctx)
	out.Close()
	complaints.Close()
	said, complained := outSaid(), errSaid()
	var exit *exitError
	switch {
	case errors.As(err, &exit) && exit.err == nil && complained != "":
		return said, api.Errorf(api.Internal, "", "%s", strings.TrimSpace(complained))
	case err != nil:
		return said, err
	}
	return said + complained, nil
}

// listen returns a file to write to, and what waits for its end and tells what was written.
func listen() (w *os.File, said func() string, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	var text []byte
	var read sync.WaitGroup
	read.Go(func() {
		defer r.Close()
		text, _ = io.ReadAll(r)
	})
	return w, func() string { read.Wait(); return string(text) }, nil
}
