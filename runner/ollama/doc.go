// Package ollama measures a model through Ollama's HTTP API: the protocol.Backend
// of kind "ollama", which checks what the native backend says of the same weights.
//
// Its opinion: a server is a stranger. Every exchange with it is bounded in time
// and memory, whatever it answers, and every failure becomes one sentence. And
// its counters are not what their names say; what follows was read in the source
// of v0.24.0 (https://github.com/ollama/ollama/tree/v0.24.0), the version whose
// client this package uses. `make test-ollama` asks a server of that version whether
// it holds.
//
//   - prompt_eval_count counts the whole prompt, cached tokens included
//     (runner/llamarunner/runner.go#L172, #L736), while prompt_eval_duration times
//     only what was not cached (runner/llamarunner/cache.go#L107). No field says how
//     much that was. So this package compares each prompt with all earlier ones of
//     the load, token by token, and says what may have been cached.
//   - A prompt's BOS token is cached from the second call on, always. Of a prompt that
//     is cached whole the last token is evaluated again (cache.go#L93).
//   - eval_count counts sampled tokens, the first of which comes from the prompt's
//     logits; eval_duration times the decodes after it (runner.go#L519). So
//     eval_duration / (eval_count - 1) is the time of a step, and num_predict is one
//     more than the decode steps that are wanted.
//   - eval_duration holds no sampling: the llama.cpp runner stops its clock before
//     (runner.go#L521), the other one subtracts it
//     (runner/ollamarunner/runner.go#L986). Its native counterpart is
//     decode_no_sampling_ms.
//   - EOS cannot be suppressed: there is no logit bias and no ignore_eos. For the
//     llama.cpp runner OllamaSpec.BanRepeats comes near: a presence penalty beyond any
//     logit bans all that the prompt and the answer hold; the other runner's
//     sampler has no penalties (sample/samplers.go#L130).
//   - After more than 30 repeats of one token the server hangs up without a final
//     message (llm/server.go#L1705): a model of random weights gets there soon.
//   - repeat_penalty is 1.1 unless it is set (api/types.go#L1082), which changes
//     even greedy text.
//   - Prompts that are too long are cut, and a full context is shifted, without a
//     word, unless truncate and shift are false (runner/llamarunner/runner.go#L144).
//   - num_thread sets the threads of decode and of prefill alike, num_batch the
//     batch and the micro-batch (llama/llama.go#L122). Flash attention, the KV
//     cache's type and the number of parallel sequences are the server's
//     environment; no answer tells them.
//   - The server's build of ggml has neither OpenMP nor repacked weights, as its
//     CMakeLists.txt sets neither option. Without OpenMP, num_thread - 1 threads are
//     made and ended in every decode step (ggml-cpu.c#L3199): eval_duration holds that.
//   - load_duration is not 0 where the model is loaded: for each call the server reads
//     all of the file's metadata again (server/images.go#L89), the vocabulary being most
//     of it. With 50,000 tokens that is some 50 ms before anything is evaluated, within
//     total_duration and the client's times, outside the two others.
//   - The quantization of a file whose weights are all f32 is "unknown"
//     (fs/ggml/ggml.go#L47).
//   - The client's stream reader drops the reader's error (api/client.go#L221): a
//     connection that breaks, or a line beyond 8 MB, looks like a finished answer.
package ollama
