//go:build linux

package serve

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/joblog"
)

// The bounds of one page of a log and of one search in it: what takes a moment.
const (
	maxLogPage   = 4 << 20
	maxBackLines = 20_000
	maxBackBytes = 1 << 20 // that a page may be longer than it was asked to be
	findBudget   = 64 << 20
	maxHits      = 10_000
	maxFindText  = 1 << 10
)

// openedLog is a job's log and how long it is known to be.
func (s *Server) openedLog(ctx context.Context, id string) (*joblog.Reader, int64, error) {
	watch, err := s.Engine.Watch(ctx, id)
	if err != nil {
		return nil, 0, err
	}
	size := watch.View().LogSize
	watch.Close()
	log, err := joblog.Open(s.Data, id)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, nil
	}
	return log, size, err
}

// logPage sends a part of a log, with when and on which stream it was written.
func (s *Server) logPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	n, err := numbers(q, "from", "back", "limit")
	only, serr := streamOf(q.Get("stream"))
	if err = errors.Join(err, serr); err != nil {
		writeError(w, err)
		return
	}
	log, size, err := s.openedLog(r.Context(), r.PathValue("id"))
	if err != nil {
		writeError(w, err)
		return
	}
	if log != nil {
		defer log.Close()
	}
	limit := min(n["limit"], maxLogPage)
	from, end := min(n["from"], size), size
	if log != nil && n["back"] > 0 { // such a page ends where it was asked to go back from
		end, limit = from, maxBackBytes+maxLogPage
		if from, err = log.Back(from, size, int(min(n["back"], maxBackLines)), only, min(max(n["limit"], 1), maxLogPage)); err != nil {
			writeError(w, err)
			return
		}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	fw := api.NewFrameWriter(w)
	if err := sendPage(fw, log, api.LogPage{From: from, Next: from, Size: size}, end, limit, only); err != nil {
		_ = fw.Error(err)
	}
}

// sendPage sends the log from page.Next on up to end, or as much of it as it may.
func sendPage(fw *api.FrameWriter, log *joblog.Reader, page api.LogPage, end, limit int64, only uint8) error {
	buf := make([]byte, logPiece)
	for sent := int64(0); log != nil && sent < limit && page.Next < end; {
		chunk, next, err := log.Read(page.Next, end, only, buf[:min(logPiece, limit-sent)])
		if err == io.EOF {
			page.Next = end
			break
		}
		if err != nil {
			return err
		}
		if err := fw.Log(chunk); err != nil {
			return err
		}
		sent += int64(len(chunk.Data))
		page.Next = next
	}
	return fw.JSON(api.FrameLogPage, page)
}

// logFind looks for text, or for what tells of trouble.
func (s *Server) logFind(ctx context.Context, r *http.Request) (any, error) {
	q := r.URL.Query()
	n, err := numbers(q, "from", "max")
	only, serr := streamOf(q.Get("stream"))
	if err = errors.Join(err, serr); err != nil {
		return nil, err
	}
	find := joblog.Search{
		Text: []byte(q.Get("text")), Problems: q.Get("problems") != "", From: n["from"], Backward: q.Get("backward") != "",
		Stream: only, Count: q.Get("count") != "", Max: int(min(max(n["max"], 1), maxHits)), Budget: findBudget,
	}
	if !find.Problems && (len(find.Text) == 0 || len(find.Text) > maxFindText) {
		return nil, api.Errorf(api.Invalid, "", "look for 1 to %d bytes", maxFindText)
	}
	log, size, err := s.openedLog(ctx, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if log == nil {
		return api.LogFound{Hits: []api.LogHit{}, Done: true}, nil
	}
	defer log.Close()
	return log.Find(find, size)
}

// numbers reads what a query says of offsets and counts; what is not there is 0.
func numbers(q url.Values, keys ...string) (map[string]int64, error) {
	out := map[string]int64{}
	for _, key := range keys {
		if text := q.Get(key); text != "" {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil || n < 0 {
				return nil, api.Errorf(api.Invalid, "", "%s: %q is no number", key, text)
			}
			out[key] = n
		}
	}
	return out, nil
}
