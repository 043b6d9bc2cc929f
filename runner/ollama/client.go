package ollama

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/ollama/ollama/api"
	"github.com/ollama/ollama/envconfig"

	"llmscale/internal/address"
	"llmscale/internal/awake"
	"llmscale/runner/record"
)

// Limits bound what one call may take. Zero means the default that is named.
type Limits struct {
	Connect  time.Duration // to reach the server; 5 s
	Idle     time.Duration // between two pieces of an answer; 2 min
	Small    time.Duration // for a call that only asks; 30 s
	Load     time.Duration // for loading a model; 10 min
	Call     time.Duration // for one measured call, prompt and answer; 10 min
	Transfer time.Duration // for uploading a file and making a model of it; 1 h
	MaxBytes int64         // of an answer that is no stream of tokens; 16 MiB
	MaxLine  int           // bytes of one line of a stream, at most 4 MiB; 1 MiB
}

// A token's line of a stream is some 150 bytes and the token's text. Far more than
// this per token asked for is not a stream of tokens.
const bytesPerToken = 4 << 10

func (l Limits) filled() Limits {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&l.Connect, 5*time.Second)
	set(&l.Idle, 2*time.Minute)
	set(&l.Small, 30*time.Second)
	set(&l.Load, 10*time.Minute)
	set(&l.Call, 10*time.Minute)
	set(&l.Transfer, time.Hour)
	if l.MaxBytes <= 0 {
		l.MaxBytes = 16 << 20
	}
	if l.MaxLine <= 0 {
		l.MaxLine = 1 << 20
	}
	l.MaxLine = min(l.MaxLine, 4<<20) // the API client takes a line beyond 8 MB for the end of the stream
	return l
}

// Client talks to one Ollama server, through Ollama's own client, within Limits.
// All its errors are *Error. The secrets of the server's address are known to its transport
// alone, which adds them to each request.
type Client struct {
	url       *url.URL            // without secrets
	scrub     func(string) string // takes the secrets out of what a server says
	limits    Limits
	transport *http.Transport
	http      *http.Client
	api       *api.Client
}

// NewClient returns a client of the server at addr, for instance
// "http://127.0.0.1:11434" or "https://user:password@host/ollama?key=token". Empty
// means where Ollama's own tools look: the environment variable OLLAMA_HOST, else the
// first of these. Nothing is sent yet.
func NewClient(addr string, limits Limits) (*Client, error) {
	base, err := serverURL(addr)
	if err != nil {
		return nil, err
	}
	if h := base.Hostname(); h == "ollama.com" || strings.HasSuffix(h, ".ollama.com") {
		// The API client would sign requests to it with the user's key, and what it
		// measures is somebody else's machine.
		return nil, &Error{Op: "address", Status: record.StatusError, Reason: h + " is a service, not a server whose times mean something; want one like http://127.0.0.1:11434"}
	}
	c := &Client{url: address.Public(base), scrub: address.Scrubber(base), limits: limits.filled()}
	c.transport = &http.Transport{
		// No proxy, whatever the environment says: its time would be measured too.
		Proxy:                  nil,
		DialContext:            (&net.Dialer{Timeout: c.limits.Connect}).DialContext,
		TLSHandshakeTimeout:    c.limits.Connect,
		DisableCompression:     true, // what arrives is what was sent, and no bomb unfolds
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        time.Minute,
	}
	c.http = &http.Client{
		Transport: guard{base: c.transport, login: base.User, query: base.RawQuery},
		CheckRedirect: func(req *http.Request, _ []*http.Request) error {
			return &redirectError{address.Public(req.URL).String()}
		},
	}
	c.api = api.NewClient(c.url, c.http)
	return c, nil
}

// serverURL parses addr, or where that is empty OLLAMA_HOST as Ollama's own tools do;
// they know no login and no query.
func serverURL(addr string) (*url.URL, error) {
	from := ""
	if addr == "" {
		host := envconfig.Var("OLLAMA_HOST")
		if !strings.ContainsAny(host, "@?") {
			return envconfig.Host(), nil
		}
		addr, from = host, "OLLAMA_HOST: "
		if !strings.Contains(addr, "://") {
			addr = "http://" + addr
			if u, err := url.Parse(addr); err == nil && u.Port() == "" {
				u.Host += ":11434"
				addr = u.String()
			}
		}
	}
	u, err := url.Parse(addr)
	if err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") {
		return u, nil
	}
	const want = "no address of a server; want one like http://127.0.0.1:11434"
	if strings.ContainsAny(addr, "@?") { // neither it nor what the parser says of it can be shown
		return nil, &Error{Op: "address", Status: record.StatusError, Reason: from + "it is " + want + ", or http://user:password@127.0.0.1:11434 (%40 for an @ in a password, %3F for a ?, %2F for a /)"}
	}
	return nil, &Error{Op: "address", Status: record.StatusError, Reason: fmt.Sprintf("%s%q is %s", from, clip(addr), want), cause: err}
}

// URL names the server: its address without secrets.
func (c *Client) URL() string { return c.url.String() }

// Close drops the idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// ask makes one call of a kind that answers with one JSON object.
func ask[T any](c *Client, ctx context.Context, op string, call func(context.Context) (T, error)) (T, error) {
	ctx, ex := c.begin(ctx, op, c.limits.Small, c.limits.MaxBytes)
	ex.maxLine = 0
	v, err := call(ctx)
	got := ex.bytes > 0
	if err := ex.end(ctx, err); err != nil {
		return v, err
	}
	if !got {
		return v, &Error{Op: op, Status: record.StatusError, HTTP: ex.status, Reason: c.URL() + " answered with nothing: is it an Ollama server?"}
	}
	return v, nil
}

// Version returns the server's version.
func (c *Client) Version(ctx context.Context) (string, error) {
	v, err := ask(c, ctx, "version", c.api.Version)
	if err == nil && v == "" {
		err = &Error{Op: "version", Status: record.StatusError, Reason: c.URL() + " does not say its version: is it an Ollama server?"}
	}
	return v, err
}

// Show returns what the server knows of a model.
func (c *Client) Show(ctx context.Context, model string) (*api.ShowResponse, error) {
	return ask(c, ctx, "show "+model, func(ctx context.Context) (*api.ShowResponse, error) {
		return c.api.Show(ctx, &api.ShowRequest{Model: model})
	})
}

// List returns the models that the server has.
func (c *Client) List(ctx context.Context) ([]api.ListModelResponse, error) {
	l, err := ask(c, ctx, "list models", c.api.List)
	if err != nil {
		return nil, err
	}
	return l.Models, nil
}

// Running returns the models that the server has loaded.
func (c *Client) Running(ctx context.Context) ([]api.ProcessModelResponse, error) {
	l, err := ask(c, ctx, "list loaded models", c.api.ListRunning)
	if err != nil {
		return nil, err
	}
	return l.Models, nil
}

// errEnough ends a stream that is longer than what was asked for.
var errEnough = errors.New("more pieces than tokens were asked for")

// Answer is a stream's outcome. Times are nanoseconds since the call began.
type Answer struct {
	Final    *api.GenerateResponse // nil where the stream ended without a final message
	Cached   *int                  // prompt tokens that the server says it had cached; nil where it says nothing
	Pieces   []string              // of text, in the order of arrival
	PieceNS  []int64               // when each was here
	WallNS   int64                 // when the stream had ended
	HeaderNS int64                 // when the answer's head was here
}

// Generate makes one streamed call and times its pieces on CLOCK_MONOTONIC: a
// piece is dated when its bytes were read, before they are parsed. A stream that
// ends well but without a final message is no error here; see Answer.Final.
func (c *Client) Generate(ctx context.Context, op string, req *api.GenerateRequest, deadline time.Duration, tokens int) (*Answer, error) {
	ctx, ex := c.begin(ctx, op, deadline, c.limits.MaxBytes+int64(tokens)*bytesPerToken)
	a := &Answer{Pieces: make([]string, 0, min(tokens+1, 1<<16)), PieceNS: make([]int64, 0, min(tokens+1, 1<<16))}
	messages := 0
	start := time.Now()
	err := c.api.Generate(ctx, req, func(r api.GenerateResponse) error {
		at := ex.arrival().Sub(start).Nanoseconds()
		// Thinking is the same stream of tokens under another name.
		if text := r.Thinking + r.Response; text != "" {
			a.Pieces, a.PieceNS = append(a.Pieces, text), append(a.PieceNS, at)
		}
		if r.Done {
			a.Final = &r
			ex.finished()
		} else if messages++; len(a.Pieces) > tokens || messages > 2*tokens+64 {
			return errEnough // a message may be empty, but not most of them
		}
		return nil
	})
	a.WallNS = time.Since(start).Nanoseconds()
	a.Cached = ex.tail.cached()
	if !ex.headAt.IsZero() {
		a.HeaderNS = ex.headAt.Sub(start).Nanoseconds()
	}
	if errors.Is(err, errEnough) {
		ex.fail(record.StatusError, "the server sent %d messages with %d pieces of text, more than the %d tokens that were asked for, and no final message", messages, len(a.Pieces), tokens)
	}
	return a, ex.end(ctx, err)
}

// Unload makes the server drop a model from memory and waits until it says so.
func (c *Client) Unload(ctx context.Context, model string) error {
	op := "unload " + model
	// No prompt and keep_alive 0 is how the API spells "unload".
	if _, err := c.Generate(ctx, op, &api.GenerateRequest{Model: model, KeepAlive: &api.Duration{}}, c.limits.Small, 1); err != nil {
		return err
	}
	// The server answers before the runner is gone, and frees memory only then.
	over := make(chan struct{})
	defer awake.AfterFunc(c.limits.Small, func() { close(over) }).Stop()
	for {
		models, err := c.Running(ctx)
		if err != nil {
			return err
		}
		if loaded(models, model) == nil {
			return nil
		}
		select {
		case <-over:
			return &Error{Op: op, Status: record.StatusTimeout, Reason: fmt.Sprintf("the model was still loaded after %s", c.limits.Small)}
		case <-ctx.Done():
			return &Error{Op: op, Status: record.StatusError, Reason: "interrupted", cause: ctx.Err()}
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// HasBlob says whether the server has the file of a digest ("sha256:" and hex).
func (c *Client) HasBlob(ctx context.Context, digest string) (bool, error) {
	// The API client has no such call.
	err := c.blob(ctx, http.MethodHead, digest, nil, 0, c.limits.Small)
	if notFound(err) {
		return false, nil
	}
	return err == nil, err
}

// UploadBlob sends the file at path, which must have the digest.
func (c *Client) UploadBlob(ctx context.Context, digest, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return &Error{Op: "upload", Status: record.StatusError, Reason: err.Error(), cause: err}
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return &Error{Op: "upload", Status: record.StatusError, Reason: err.Error(), cause: err}
	}
	return c.blob(ctx, http.MethodPost, digest, f, st.Size(), c.limits.Transfer)
}

func (c *Client) blob(ctx context.Context, method, digest string, content io.Reader, size int64, deadline time.Duration) error {
	ctx, ex := c.begin(ctx, method+" blob "+digest, deadline, errorBytes)
	req, err := http.NewRequestWithContext(ctx, method, c.url.JoinPath("/api/blobs", digest).String(), content)
	if err == nil {
		req.ContentLength = size // a file's length is not known to net/http; the server sees a whole or a broken upload
		var resp *http.Response
		if resp, err = c.http.Do(req); err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
	return ex.end(ctx, err)
}

// Create makes a model of a file that the server has. It says nothing of a model
// of that name that is there already: see Import.
func (c *Client) Create(ctx context.Context, model, file, digest string) error {
	ctx, ex := c.begin(ctx, "create "+model, c.limits.Transfer, c.limits.MaxBytes)
	last := ""
	err := c.api.Create(ctx, &api.CreateRequest{Model: model, Files: map[string]string{file: digest}}, func(p api.ProgressResponse) error {
		last = p.Status
		return nil
	})
	if err := ex.end(ctx, err); err != nil {
		return err
	}
	if last != "success" {
		return &Error{Op: "create " + model, Status: record.StatusError, Reason: fmt.Sprintf("the server did not say that it made the model; its last word was %q", clip(last))}
	}
	return nil
}

// Delete deletes a model.
func (c *Client) Delete(ctx context.Context, model string) error {
	ctx, ex := c.begin(ctx, "delete "+model, c.limits.Small, c.limits.MaxBytes)
	return ex.end(ctx, c.api.Delete(ctx, &api.DeleteRequest{Model: model}))
}
