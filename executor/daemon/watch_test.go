//go:build linux

package daemon_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/daemon"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// watcher is a client that is told of all jobs.
type watcher struct {
	*client
	jobs   map[string]api.JobInfo
	gone   map[string]bool
	status api.Status
}

func (h *host) watch() *watcher {
	h.Helper()
	w := &watcher{client: h.stream(), jobs: map[string]api.JobInfo{}, gone: map[string]bool{}}
	w.send(api.FrameWatch, nil)
	return w
}

func (w *watcher) until(what string, ok func() bool) {
	w.Helper()
	for !ok() {
		f := w.read()
		switch f.Type {
		case api.FrameNews:
			var news api.News
			w.decode(f, &news)
			for _, j := range news.Jobs {
				w.jobs[j.ID] = j
			}
			for _, id := range news.Gone {
				w.gone[id] = true
			}
			if news.Status != nil {
				w.status = *news.Status
			}
		case api.FrameError, api.FrameEnd:
			w.Fatalf("the watch ended before %s: %s", what, f.Payload)
		}
	}
}

func TestWatchTellsOfEveryJob(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	first := h.submit(job("sleep 60", "a"), nil).accepted.Job.ID
	w := h.watch()
	w.until("what there is", func() bool { return w.jobs[first].State == manifest.Running && w.status.Slots == 1 })
	second := h.submit(job("true", "b"), nil).accepted.Job.ID
	third := h.submit(job("true", "c"), nil).accepted.Job.ID
	w.until("those that wait", func() bool {
		return w.jobs[second].Position == 1 && w.jobs[third].Position == 2 && w.status.Queued == 2
	})
	if err := h.call("POST", "/v1/jobs/"+second+"/cancel", api.CancelRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	w.until("places that moved", func() bool { return w.jobs[second].State == manifest.Cancelled && w.jobs[third].Position == 1 })
	if err := h.call("POST", "/v1/jobs/"+first+"/cancel", api.CancelRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	w.until("the ends", func() bool { return w.jobs[first].State.Ended() && w.jobs[third].State == manifest.Succeeded })
	if err := h.call("DELETE", "/v1/jobs/"+third, nil, nil); err != nil {
		t.Fatal(err)
	}
	w.until("the removal", func() bool { return w.gone[third] })
	if err := h.call("POST", api.PathDrain, api.DrainRequest{Draining: true}, nil); err != nil {
		t.Fatal(err)
	}
	w.until("the draining", func() bool { return w.status.Draining })
}

// page reads a page of a log as a client does.
func (h *host) page(id string, q url.Values) (text string, page api.LogPage) {
	h.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return daemon.Dial(ctx, h.data)
	}}
	r, _ := http.NewRequest("GET", "http://executor/v1/jobs/"+id+"/log?"+q.Encode(), nil)
	r.Header.Set(api.HeaderVersion, "1")
	response, err := transport.RoundTrip(r)
	if err != nil {
		h.Fatal(err)
	}
	defer response.Body.Close()
	for {
		f, err := api.ReadFrame(response.Body, nil)
		if err == io.EOF {
			return text, page
		}
		if err != nil {
			h.Fatal(err)
		}
		if f.Type == api.FrameLogPage {
			if err := f.JSON(&page); err != nil {
				h.Fatal(err)
			}
			continue
		}
		c, err := f.Log()
		if err != nil {
			h.Fatal(err)
		}
		text += string(c.Data)
	}
}

func TestLogIsReadByPagesAndSearched(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	id := h.run(job("for i in 1 2 3 4 5 6 7 8 9; do echo line $i; done; echo 'ERROR: no' >&2", "a")).accepted.Job.ID
	size := h.show(id).LogSize
	for _, c := range []struct{ q, want string }{
		{"from=0&limit=7", "line 1\n"}, {"from=7&limit=14", "line 2\nline 3\n"}, {"from=100000&back=2&limit=1000", "line 9\nERROR: no\n"},
		{"from=14&back=1&limit=7", "line 2\n"}, {"from=0&limit=1000&stream=stderr", "ERROR: no\n"}, {"from=100000&back=1&limit=1000&stream=stderr", "ERROR: no\n"},
	} {
		q, _ := url.ParseQuery(c.q)
		if text, page := h.page(id, q); text != c.want || page.Size != size {
			t.Errorf("%s: got %q, %+v", c.q, text, page)
		}
	}
	for q, want := range map[string]string{
		"text=line+4&max=9": "[line 4] true", "text=LINE": "[] true", "problems=1": "[ERROR: no] true", "text=line&max=1&from=10": "[line 3] false", "text=line&max=1&backward=1&from=1000": "[line 9] false",
		"text=e&max=9&stream=stderr": "[ERROR: no] true", "text=line&max=2&count=1": "[] true",
	} {
		var found api.LogFound
		if err := h.call("GET", "/v1/jobs/"+id+"/log/find?"+q, nil, &found); err != nil {
			t.Fatal(err)
		}
		lines := []string{}
		for _, hit := range found.Hits {
			lines = append(lines, hit.Line)
		}
		if got := fmt.Sprint(lines, " ", found.Done); got != want {
			t.Errorf("%s: got %s, want %s", q, got, want)
		}
	}
}

func TestListIsSearchedAndReadFromItsOtherEnd(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	var ids []string
	for _, name := range []string{"uart-rx", "spi", "UART-tx"} {
		j := job("true", "w")
		j.Name, j.Owner, j.Project = name, "ada", "p-"+name
		ids = append(ids, h.run(j).accepted.Job.ID)
	}
	for q, want := range map[string]string{
		"like=uart": "[UART-tx uart-rx] false", "project=p-spi": "[spi] false", "owner=bob": "[] false", "text=P-SPI": "[spi] false",
		"after=0&limit=2": "[spi uart-rx] true", "after=1&limit=2": "[UART-tx spi] false", "since=2000-01-01T00:00:00Z&limit=1": "[UART-tx] false",
		"until=2000-01-01T00:00:00Z": "[] false", "state=succeeded&state=failed&after=0&limit=1": "[uart-rx] true",
	} {
		var page api.JobPage
		if err := h.call("GET", api.PathJobs+"?"+q, nil, &page); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		names := []string{}
		for _, j := range page.Jobs {
			names = append(names, j.Name)
		}
		if got := fmt.Sprint(names, " ", page.Newer); got != want {
			t.Errorf("%s: got %s, want %s (%v)", q, got, want, ids)
		}
	}
}
