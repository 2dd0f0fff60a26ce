// Package remote is the client's half of Cyclops: it speaks the executor's API over whatever
// opens exchanges with it, and takes a job from submit to result.
package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// Exchanger opens one exchange with an executor: an SSH channel, or a local socket.
type Exchanger interface {
	Exchange(ctx context.Context) (net.Conn, error)
}

// Client calls one executor's API. It is safe for concurrent use.
type Client struct {
	exchanger Exchanger
	http      *http.Client
}

// NewClient returns a Client on exchanger.
func NewClient(exchanger Exchanger) *Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return exchanger.Exchange(ctx)
		},
		DisableCompression: true,
		MaxIdleConns:       1,
	}
	return &Client{exchanger: exchanger, http: &http.Client{Transport: transport}}
}

// Close gives up the exchanges that wait to be used again.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Hello asks who the executor is and how busy.
func (c *Client) Hello(ctx context.Context) (api.Hello, error) {
	var h api.Hello
	return h, c.call(ctx, http.MethodGet, api.PathHello, nil, &h)
}

// ListOptions selects jobs; the zero value lists the newest of all.
type ListOptions struct {
	States    []manifest.State
	Name      string
	Prefix    string // of the id
	Workspace string
	Limit     int
	Cursor    string

	// What older executors do not know and leave out of account.
	Like    string // in the name
	Owner   string
	Project string
	Text    string // in all that people read of a job
	Since   time.Time
	Until   time.Time
	After   *int64 // the jobs next behind this number instead of the newest; 0: the oldest
}

func (o ListOptions) query() string {
	q := url.Values{}
	for _, s := range o.States {
		q.Add("state", string(s))
	}
	for key, value := range map[string]string{"name": o.Name, "prefix": o.Prefix, "workspace": o.Workspace, "cursor": o.Cursor,
		"like": o.Like, "owner": o.Owner, "project": o.Project, "text": o.Text, "since": moment(o.Since), "until": moment(o.Until)} {
		if value != "" {
			q.Set(key, value)
		}
	}
	if o.After != nil {
		q.Set("after", strconv.FormatInt(*o.After, 10))
	}
	if o.Limit > 0 {
		q.Set("limit", strconv.Itoa(o.Limit))
	}
	return q.Encode()
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// List returns one page of jobs, newest first.
func (c *Client) List(ctx context.Context, o ListOptions) (api.JobPage, error) {
	var page api.JobPage
	path := api.PathJobs
	if q := o.query(); q != "" {
		path += "?" + q
	}
	return page, c.call(ctx, http.MethodGet, path, nil, &page)
}

// Show returns what the executor knows of a job.
func (c *Client) Show(ctx context.Context, id string) (api.JobInfo, error) {
	var info api.JobInfo
	return info, c.call(ctx, http.MethodGet, jobPath(api.PathJob, id), nil, &info)
}

// Manifest returns the bytes of an ended job's manifest.
func (c *Client) Manifest(ctx context.Context, id string) ([]byte, error) {
	return c.raw(ctx, jobPath(api.PathManifest, id))
}

// Spec returns the job as it was submitted, without the values of its variables.
func (c *Client) Spec(ctx context.Context, id string) ([]byte, error) {
	return c.raw(ctx, jobPath(api.PathSpec, id))
}

// Cancel stops a job, or takes it out of the queue.
func (c *Client) Cancel(ctx context.Context, id string, r api.CancelRequest) (api.JobInfo, error) {
	var info api.JobInfo
	return info, c.call(ctx, http.MethodPost, jobPath(api.PathCancel, id), r, &info)
}

// Retry submits the same job again, on the same pinned inputs, under a new id.
func (c *Client) Retry(ctx context.Context, id string, r api.RetryRequest) (api.JobInfo, error) {
	var info api.JobInfo
	return info, c.call(ctx, http.MethodPost, jobPath(api.PathRetry, id), r, &info)
}

// Reprioritise moves a queued job.
func (c *Client) Reprioritise(ctx context.Context, id string, p manifest.Priority) (api.JobInfo, error) {
	var info api.JobInfo
	return info, c.call(ctx, http.MethodPost, jobPath(api.PathPriority, id), api.PriorityRequest{Priority: p}, &info)
}

// Drain stops the starting of jobs, or allows it again.
func (c *Client) Drain(ctx context.Context, draining bool) (api.Hello, error) {
	var h api.Hello
	return h, c.call(ctx, http.MethodPost, api.PathDrain, api.DrainRequest{Draining: draining}, &h)
}

// Check has the executor look whether its data is as it was written: at every byte, or only at what is quick to look at.
func (c *Client) Check(ctx context.Context, full bool) (api.CheckReport, error) {
	var r api.CheckReport
	return r, c.call(ctx, http.MethodGet, api.PathCheck+"?full="+strconv.FormatBool(full), nil, &r)
}

// Environment has the executor read its user's login environment again, and says what it found.
func (c *Client) Environment(ctx context.Context) (api.EnvironmentReport, error) {
	var r api.EnvironmentReport
	return r, c.call(ctx, http.MethodPost, api.PathEnvironment, nil, &r)
}

func jobPath(pattern, id string) string {
	return strings.Replace(pattern, "{id}", url.PathEscape(id), 1)
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	data, err := c.do(ctx, method, path, in)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return api.Errorf(api.Invalid, "", "unable to read the executor's answer: %w", err)
	}
	return nil
}

func (c *Client) raw(ctx context.Context, path string) ([]byte, error) {
	return c.do(ctx, http.MethodGet, path, nil)
}

// do makes a request. One that only asks is made once more when its exchange ends before the answer:
// it may have been opened to an executor that has been replaced since.
func (c *Client) do(ctx context.Context, method, path string, in any) ([]byte, error) {
	data, err := c.try(ctx, method, path, in)
	if method == http.MethodGet && ended(err) && ctx.Err() == nil {
		return c.try(ctx, method, path, in)
	}
	return data, err
}

// ended tells whether the other side closed the exchange.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func (c *Client) try(ctx context.Context, method, path string, in any) ([]byte, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("unable to write request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://executor"+path, body)
	if err != nil {
		return nil, fmt.Errorf("unable to write request: %w", err)
	}
	request.Header.Set(api.HeaderVersion, strconv.Itoa(api.Version))
	response, err := c.http.Do(request)
	if err != nil {
		return nil, contactError(err)
	}
	defer response.Body.Close()
	return readResponse(response)
}

// contactError keeps an Error that opening the exchange made, and calls everything else unreachable.
func contactError(err error) error {
	var e *api.Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	const hint = "cyclops doctor HOST checks each part of the way"
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return api.Errorf(api.Unreachable, hint, "the executor, or the line to it, ended before it answered; it may have done what was asked")
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // the address is none that a person has seen
	}
	return api.Errorf(api.Unreachable, hint, "unable to talk to the executor: %w", err)
}

func readResponse(response *http.Response) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(response.Body, manifest.MaxDocumentSize+1))
	if err != nil {
		return nil, contactError(err)
	}
	if len(data) > manifest.MaxDocumentSize {
		return nil, api.Errorf(api.Invalid, "", "unable to read the executor's answer: more than %d bytes", manifest.MaxDocumentSize)
	}
	if response.StatusCode < 300 {
		return data, nil
	}
	e := new(api.Error)
	if err := json.Unmarshal(data, e); err != nil || e.Message == "" {
		return nil, api.Errorf(api.Invalid, "", "the executor answered %s", response.Status)
	}
	return nil, e
}
