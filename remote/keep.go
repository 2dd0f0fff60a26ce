package remote

import (
	"context"
	"net/http"
	"slices"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// atOnce is how many jobs one request names, so that none takes too long to answer.
const atOnce = 1000

// Remove deletes ended jobs and frees what only they used. The reply says of each what became of it.
func (c *Client) Remove(ctx context.Context, ids []string) (api.RemoveReply, error) {
	var all api.RemoveReply
	for chunk := range slices.Chunk(ids, atOnce) {
		var reply api.RemoveReply
		err := c.call(ctx, http.MethodPost, api.PathRemove, api.RemoveRequest{Jobs: chunk}, &reply)
		if api.KindOf(err) == api.NotFound {
			reply, err = c.removeEach(ctx, chunk)
		}
		all.Removed, all.Failed = append(all.Removed, reply.Removed...), append(all.Failed, reply.Failed...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// removeEach asks an executor from before PathRemove.
func (c *Client) removeEach(ctx context.Context, ids []string) (api.RemoveReply, error) {
	var reply api.RemoveReply
	for _, id := range ids {
		var removed api.Removed
		err := c.call(ctx, http.MethodDelete, jobPath(api.PathJob, id), nil, &removed)
		switch {
		case err == nil:
			reply.Removed = append(reply.Removed, removed)
		case api.KindOf(err) == api.Unreachable, ctx.Err() != nil:
			return reply, err
		default:
			reply.Fail(id, err)
		}
	}
	return reply, nil
}

// Pin keeps jobs from being removed, or lets them go again. The reply says of each what became of it.
func (c *Client) Pin(ctx context.Context, ids []string, pinned bool) (api.PinReply, error) {
	var all api.PinReply
	for chunk := range slices.Chunk(ids, atOnce) {
		var reply api.PinReply
		if err := c.call(ctx, http.MethodPost, api.PathPin, api.PinRequest{Jobs: chunk, Pinned: pinned}, &reply); err != nil {
			return all, tooOld(err)
		}
		all.Done, all.Failed = append(all.Done, reply.Done...), append(all.Failed, reply.Failed...)
	}
	return all, nil
}

// GC asks what of a host could be freed, or has it freed.
func (c *Client) GC(ctx context.Context, r api.GCRequest) (api.GCReply, error) {
	var reply api.GCReply
	return reply, tooOld(c.call(ctx, http.MethodPost, api.PathGC, r, &reply))
}

// tooOld says what to do about an executor that has no such path.
func tooOld(err error) error {
	if api.KindOf(err) == api.NotFound {
		return api.Errorf(api.Incompatible, "cyclops install HOST brings the executor up to date", "the executor is too old: %w", err)
	}
	return err
}
