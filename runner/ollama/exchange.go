package ollama

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
	"strings"
	"sync"
	"syscall"
	"time"

	"llmscale/internal/awake"
	"llmscale/runner/record"
)

// How an exchange is bounded. The API client reads whole bodies into memory,
// swallows read errors of a stream and follows redirects. It also lets its caller
// choose the http.Client, and that is where the bounds are put: each call's
// context carries an exchange; the transport (guard) wraps the answer's body in
// one that counts bytes, measures lines, restarts the idle timer and keeps the
// answer's beginning; and when the client returns, exchange.end turns what
// happened into one error, preferring what the guard saw to what the client says.

// Error says why a call did not give an answer that can be used.
type Error struct {
	Op     string // for instance "load gpt2"
	Status string // record.StatusWaived: no server; StatusTimeout, StatusOOM, StatusError
	HTTP   int    // status code of the answer, 0 where there was none
	Reason string // one sentence
	cause  error
}

func (e *Error) Error() string { return "ollama: " + e.Op + ": " + e.Reason }

func (e *Error) Unwrap() error { return e.cause }

// notFound says whether the server does not have what was asked for.
func notFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.HTTP == http.StatusNotFound
}

const (
	headBytes  = 2048 // kept of an answer, to say what it was
	errorBytes = 64 << 10
	clipBytes  = 200 // shown of it
	readBytes  = 32 << 10
	// afterDone is how long the end of a stream may take once its final message is
	// here: waiting for it keeps the connection for the next call.
	afterDone = time.Second
)

type exchange struct {
	op, url  string
	scrub    func(string) string
	idle     time.Duration // longest silence inside an answer
	deadline time.Duration // of the whole call, for its message
	maxBytes int64
	maxLine  int
	cancel   context.CancelFunc

	mu       sync.Mutex
	status   int
	html     bool
	fault    *Error // what the guard found; the first one stays
	readErr  error  // how reading the body ended, if not in io.EOF
	head     []byte
	bytes    int64
	line     int
	headAt   time.Time // when the answer's head arrived
	lastRead time.Time // when the latest bytes arrived
	tail     tail
	timer    *awake.Timer
	done     bool
}

type exchangeKey struct{}

// begin returns the context under which the API client makes one call.
func (c *Client) begin(ctx context.Context, op string, deadline time.Duration, maxBytes int64) (context.Context, *exchange) {
	ctx, cancel := awake.WithTimeout(ctx, deadline)
	ex := &exchange{op: op, url: c.URL(), scrub: c.scrub, idle: c.limits.Idle, deadline: deadline, maxBytes: maxBytes, maxLine: c.limits.MaxLine, cancel: cancel}
	return context.WithValue(ctx, exchangeKey{}, ex), ex
}

// fail notes the first fault and ends the exchange.
func (ex *exchange) fail(status, format string, args ...any) {
	ex.mu.Lock()
	if ex.fault == nil && !ex.done {
		ex.fault = &Error{Op: ex.op, Status: status, HTTP: ex.status, Reason: fmt.Sprintf(format, args...)}
	}
	ex.mu.Unlock()
	ex.cancel()
}

// finished is called when the final message of a stream is here: what goes wrong
// after it does not matter any more.
func (ex *exchange) finished() {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	ex.done = true
	if ex.timer != nil {
		ex.timer.Reset(min(ex.idle, afterDone))
	}
}

func (ex *exchange) arrival() time.Time {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	return ex.lastRead
}

// end turns the outcome of a call into its error, or nil.
func (ex *exchange) end(ctx context.Context, err error) error {
	defer ex.cancel()
	ex.mu.Lock()
	defer ex.mu.Unlock()
	if ex.timer != nil {
		ex.timer.Stop()
	}
	if ex.done {
		return nil
	}
	e := ex.outcome(ctx, err)
	if e == nil {
		return nil
	}
	e.Op, e.HTTP, e.cause = ex.op, ex.status, err
	e.Reason = ex.scrub(e.Reason)
	return e
}

// outcome needs ex.mu held. The order is that of how much is known.
func (ex *exchange) outcome(ctx context.Context, err error) *Error {
	var dial *net.OpError
	var redirect *redirectError
	// What came in may repeat what was sent, and must not be cut before the secrets are out.
	ex.head, ex.tail.last = []byte(ex.scrub(string(ex.head))), []byte(ex.scrub(string(ex.tail.last)))
	switch {
	case ex.fault != nil:
		e := *ex.fault // a copy: err may wrap the fault itself, and becomes the cause
		return &e
	case errors.As(err, &redirect):
		return ex.errorf("%s redirects to %s, which is not followed: give the address of the server itself", ex.url, clip(redirect.to))
	case err != nil && errors.As(err, &dial) && dial.Op == "dial":
		return &Error{Status: record.StatusWaived, Reason: fmt.Sprintf("no Ollama server at %s (%s): start one with `ollama serve`, or give its address", ex.url, oneLine(dial.Err.Error()))}
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return &Error{Status: record.StatusTimeout, Reason: fmt.Sprintf("%s gave no whole answer within %s", ex.url, ex.deadline)}
	case errors.Is(ctx.Err(), context.Canceled):
		return ex.errorf("interrupted")
	case ex.status >= http.StatusBadRequest:
		return ex.refused()
	case ex.status >= http.StatusMultipleChoices:
		return ex.errorf("%s answered with HTTP status %d, which an Ollama server does not do here", ex.url, ex.status)
	case ex.readErr != nil:
		return ex.errorf("the server ended the connection in the middle of its answer (%s)", oneLine(ex.readErr.Error()))
	case ex.status == 0 && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)):
		return ex.errorf("%s ended the connection before it answered", ex.url)
	case ex.status == 0 && err != nil:
		return ex.errorf("%s did not answer as an HTTP server does (%s)", ex.url, oneLine(err.Error()))
	case err == nil:
		return nil
	}
	if message := ex.serverMessage(ex.scrub(err.Error())); message != "" {
		return ex.classified("the server says: " + message)
	}
	what := "something that is not Ollama's JSON"
	if ex.html {
		what = "a web page"
	}
	return ex.errorf("%s answered with %s (%s): is it an Ollama server?", ex.url, what, ex.begins())
}

// serverMessage returns the message of an {"error": "..."} line inside a stream: the API
// client turns it into a bare error, and a line of garbage just the same, so the
// line is looked up in what arrived. Needs ex.mu held.
func (ex *exchange) serverMessage(message string) string {
	for _, part := range [][]byte{ex.head, ex.tail.last} {
		for line := range bytes.Lines(part) {
			if m := jsonError(line); m != "" && strings.Contains(message, strings.TrimSuffix(m, "...")) {
				return m
			}
		}
	}
	return ""
}

func (ex *exchange) errorf(format string, args ...any) *Error {
	return &Error{Status: record.StatusError, Reason: fmt.Sprintf(format, args...)}
}

// refused words an answer of status 4xx or 5xx. Needs ex.mu held.
func (ex *exchange) refused() *Error {
	code := fmt.Sprintf("HTTP status %d", ex.status)
	if ex.status == http.StatusUnauthorized || ex.status == http.StatusForbidden {
		code += "; a login goes before the host of its address, a token behind a ?"
	}
	switch message := jsonError(ex.head); {
	case message != "":
		return ex.classified(fmt.Sprintf("the server says: %s (%s)", message, code))
	case len(bytes.TrimSpace(ex.head)) == 0:
		return ex.errorf("the server answered with %s and nothing else", code)
	case ex.html:
		return ex.errorf("%s answered with %s and a web page (%s): is it an Ollama server?", ex.url, code, ex.begins())
	}
	return ex.classified(fmt.Sprintf("the server answered with %s: %s", code, ex.begins()))
}

// classified keeps "did not fit in memory", a result, apart from other refusals.
// The words are those of llm/server.go and of llama.cpp's and CUDA's allocators.
func (ex *exchange) classified(reason string) *Error {
	e := ex.errorf("%s", reason)
	low := strings.ToLower(reason)
	for _, words := range []string{"more system memory", "out of memory", "unable to allocate", "failed to allocate", "insufficient memory"} {
		if strings.Contains(low, words) {
			e.Status = record.StatusOOM
		}
	}
	return e
}

// jsonError returns the message of Ollama's {"error": "..."}, if data starts so.
func jsonError(data []byte) string {
	var answer struct {
		Error string `json:"error"`
	}
	line, _, _ := bytes.Cut(bytes.TrimSpace(data), []byte("\n"))
	if json.Unmarshal(line, &answer) != nil && json.Unmarshal(data, &answer) != nil {
		return ""
	}
	return oneLine(answer.Error)
}

// quote shows the first line of data that says something.
func quote(data []byte) string { return fmt.Sprintf("%q", oneLine(string(data))) }

// begins quotes the answer's first words. Needs ex.mu held.
func (ex *exchange) begins() string { return quote([]byte(ex.scrub(string(ex.head)))) }

func oneLine(s string) string {
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			return clip(line)
		}
	}
	return ""
}

func clip(s string) string {
	if len(s) > clipBytes {
		return strings.ToValidUTF8(s[:clipBytes], "") + "..."
	}
	return s
}

// redirectError is how the http.Client is told to go nowhere else: what answers
// in another place is not what was asked to be measured.
type redirectError struct{ to string }

func (e *redirectError) Error() string { return "redirect to " + e.to }

// guard is the transport that puts each answer under its exchange's bounds.
type guard struct {
	base  http.RoundTripper
	login *url.Userinfo // of the server's address, nil: none
	query string        // of the same, "": none
}

func (g guard) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := g.base.RoundTrip(g.admitted(req))
	ex, _ := req.Context().Value(exchangeKey{}).(*exchange)
	if err != nil || ex == nil {
		return resp, err
	}
	ex.mu.Lock()
	defer ex.mu.Unlock()
	ex.status = resp.StatusCode
	ex.html = strings.Contains(strings.ToLower(resp.Header.Get("Content-Type")), "html")
	ex.headAt = time.Now()
	ex.lastRead = ex.headAt
	ex.timer = awake.AfterFunc(ex.idle, func() {
		ex.fail(record.StatusTimeout, "the server fell silent for %s in the middle of its answer", ex.idle)
	})
	resp.Body = &body{ReadCloser: resp.Body, ex: ex}
	return resp, nil
}

// admitted returns the request with the secrets of the server's address. They are added
// here, behind the http.Client, whose errors name the address.
func (g guard) admitted(req *http.Request) *http.Request {
	if g.login == nil && g.query == "" {
		return req
	}
	out := req.Clone(req.Context())
	if g.login != nil && out.Header.Get("Authorization") == "" {
		password, _ := g.login.Password()
		out.SetBasicAuth(g.login.Username(), password)
	}
	if g.query != "" {
		out.URL.RawQuery = strings.TrimSuffix(g.query+"&"+out.URL.RawQuery, "&")
	}
	return out
}

type body struct {
	io.ReadCloser
	ex *exchange
}

func (b *body) Read(p []byte) (int, error) {
	// A read of the client's whole buffer would hold megabytes back from its parser,
	// which knows better than the limits below what is wrong with them.
	n, err := b.ReadCloser.Read(p[:min(len(p), readBytes)])
	now := time.Now() // before anything else: this is when a token arrived
	ex := b.ex
	ex.mu.Lock()
	defer ex.mu.Unlock()
	if n > 0 {
		ex.lastRead = now
		ex.timer.Reset(ex.idle)
		if ex.done {
			ex.timer.Reset(min(ex.idle, afterDone))
		}
		ex.bytes += int64(n)
		ex.tail.add(p[:n])
		ex.head = append(ex.head, p[:min(n, headBytes-len(ex.head))]...)
		if i := bytes.LastIndexByte(p[:n], '\n'); i >= 0 {
			ex.line = n - i - 1
		} else {
			ex.line += n
		}
		if ex.fault == nil && ex.status >= http.StatusBadRequest && ex.bytes > errorBytes {
			return n, io.EOF // an error's beginning is enough to tell it
		}
		if ex.fault == nil && ex.bytes > ex.maxBytes {
			ex.fault = &Error{Status: record.StatusError, Reason: fmt.Sprintf("the server's answer is longer than %d bytes, the most that is read here: it begins with %s", ex.maxBytes, ex.begins())}
		}
		if ex.fault == nil && ex.maxLine > 0 && ex.line > ex.maxLine {
			ex.fault = &Error{Status: record.StatusError, Reason: fmt.Sprintf("the server sent %d bytes without the end of a line: it begins with %s", ex.line, ex.begins())}
		}
	}
	if ex.fault != nil {
		return 0, ex.fault
	}
	if err != nil && err != io.EOF {
		ex.readErr = err
	}
	return n, err
}

func (b *body) Close() error {
	b.ex.mu.Lock()
	b.ex.timer.Stop()
	b.ex.mu.Unlock()
	return b.ReadCloser.Close()
}

// tail keeps an answer's latest bytes.
type tail struct{ last []byte }

func (t *tail) add(p []byte) {
	t.last = append(t.last, p[max(0, len(p)-headBytes):]...)
	if extra := len(t.last) - headBytes; extra > 0 {
		t.last = append(t.last[:0], t.last[extra:]...)
	}
}

// cached reads a counter of the final message that the API client does not know:
// servers newer than it report how much of the prompt they had cached.
func (t *tail) cached() *int {
	line := bytes.TrimSpace(t.last)
	if i := bytes.LastIndexByte(line, '\n'); i >= 0 {
		line = line[i+1:]
	}
	var final struct {
		Cached *int `json:"prompt_eval_cached_count"`
	}
	if json.Unmarshal(line, &final) != nil {
		return nil
	}
	return final.Cached
}
