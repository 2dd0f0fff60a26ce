package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/fetch"
)

// verb does within this process what the command line does, so that screen and command line cannot
// differ, and returns what it says. Nobody is asked anything.
func (s *tuiClient) verb(ctx context.Context, words []string, fetching func(fetch.Progress)) (string, error) {
	var said, complained string
	out, err := newEar(&said)
	if err != nil {
		return "", err
	}
	complaints, err := newEar(&complained)
	if err != nil {
		out.close()
		return "", err
	}
	app := s.app.captured(out.File, complaints.File)
	app.fetching = fetching
	root := newRootCommand(app)
	root.SetArgs(append(s.options(), words...))
	err = root.ExecuteContext(ctx)
	out.close()
	complaints.close()
	var exit *exitError
	switch {
	case errors.As(err, &exit) && exit.err == nil && complained != "":
		return said, api.Errorf(api.Internal, "", "%s", strings.TrimSpace(complained))
	case err != nil:
		return said, err
	}
	for _, word := range words {
		host, _, _ := strings.Cut(word, "/") // HOST, or HOST/ID
		s.nudge(host)
	}
	return said + complained, nil
}

// ear is a file that takes what a verb says. It is no pipe: whoever writes to one may hold it open
// a second time, so that its end never comes.
type ear struct {
	*os.File
	heard *string
}

func newEar(heard *string) (*ear, error) {
	f, err := os.CreateTemp("", "cyclops-said-*")
	if err != nil {
		return nil, fmt.Errorf("unable to take what a verb says: %w", err)
	}
	return &ear{f, heard}, nil
}

// maxSaid bounds what is shown of what a verb says.
const maxSaid = 1 << 20

// close tells what was heard.
func (e *ear) close() {
	data, _ := io.ReadAll(io.NewSectionReader(e.File, 0, maxSaid)) // what cannot be read was not said
	*e.heard = string(data)
	e.File.Close()
	os.Remove(e.Name())
}
