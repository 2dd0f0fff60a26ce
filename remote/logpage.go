package remote

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// LogPart says which part of a log is asked for.
type LogPart struct {
	From   int64
	Back   int // begin that many lines before From
	Limit  int // bytes
	Stream string
}

// LogPage returns a part of a job's log, without following it.
func (c *Client) LogPage(ctx context.Context, id string, p LogPart) ([]api.LogChunk, api.LogPage, error) {
	q := url.Values{"from": {strconv.FormatInt(p.From, 10)}, "back": {strconv.Itoa(p.Back)}, "limit": {strconv.Itoa(p.Limit)}, "stream": {p.Stream}}
	var page api.LogPage
	data, err := c.raw(ctx, jobPath(api.PathLog, id)+"?"+q.Encode())
	if err != nil {
		return nil, page, err
	}
	var chunks []api.LogChunk
	for r := bytes.NewReader(data); ; {
		f, err := api.ReadFrame(r, nil)
		switch {
		case err == io.EOF:
			return nil, page, api.Errorf(api.LostContact, "", "the host sent only a part of the log")
		case err != nil:
			return nil, page, err
		case f.Type == api.FrameLog:
			chunk, err := f.Log()
			if err != nil {
				return nil, page, err
			}
			chunks = append(chunks, chunk)
		case f.Type == api.FrameLogPage:
			return chunks, page, f.JSON(&page)
		case f.Type == api.FrameError:
			return nil, page, remoteError(f)
		}
	}
}

// LogSearch says what to look for in a log.
type LogSearch struct {
	Text     string // small letters stand for large ones too, unless it has large ones
	Problems bool   // lines that tell of an error or a warning, instead of Text
	From     int64
	Backward bool
	Stream   string // "stdout", "stderr"; empty: any
	Count    bool   // how many there are, and where the first Max are
	Max      int
}

// LogFind searches a job's log on the host, for a moment: LogFound says where to go on.
func (c *Client) LogFind(ctx context.Context, id string, s LogSearch) (api.LogFound, error) {
	q := url.Values{"from": {strconv.FormatInt(s.From, 10)}, "max": {strconv.Itoa(s.Max)}, "text": {s.Text}}
	if s.Problems {
		q.Set("problems", "true")
	}
	if s.Backward {
		q.Set("backward", "true")
	}
	if s.Stream != "" {
		q.Set("stream", s.Stream)
	}
	if s.Count {
		q.Set("count", "true")
	}
	var found api.LogFound
	return found, c.call(ctx, http.MethodGet, jobPath(api.PathLogFind, id)+"?"+q.Encode(), nil, &found)
}
