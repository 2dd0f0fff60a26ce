package remote

import (
	"context"
	"errors"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// Watch tells of every job of the host until ctx ends or the line breaks. The first News are the
// jobs that have not ended. An executor that is older answers with an error of kind Invalid.
func (c *Client) Watch(ctx context.Context, told func(api.News)) error {
	s, err := c.stream(ctx)
	if err != nil {
		return err
	}
	defer s.conn.Close()
	s.conn.limit = answerLimit
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer stop()
	if err := errors.Join(s.w.Write(api.FrameWatch), s.upgrade()); err != nil {
		return s.failure(ctx, contactError(err))
	}
	for {
		f, err := api.ReadFrame(s.r, s.buf)
		if err == nil {
			err = s.hearNews(f, told)
		}
		if err != nil {
			return s.failure(ctx, err)
		}
	}
}

func (s *Session) hearNews(f api.Frame, told func(api.News)) error {
	switch f.Type {
	case api.FrameNews:
		var news api.News
		if err := f.JSON(&news); err != nil {
			return err
		}
		told(news)
	case api.FramePing:
		return s.w.Write(api.FramePong, f.Payload)
	case api.FrameError:
		return remoteError(f)
	}
	return nil
}
