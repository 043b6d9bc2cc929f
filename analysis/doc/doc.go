// Package doc is a document as a tree of blocks, written as Markdown and as one HTML
// page from the same blocks, and the words and numbers in it. Names from configs and
// errors from machines become text, whatever they contain.
package doc
