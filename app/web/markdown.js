// Markdown as elements, never as HTML: marked only cuts the text into tokens. What a token would load or run stays text;
// a link leads to http or https, or it is none.
import { html } from "./html.js";
import { lexer } from "./vendor/marked.js";

const MOST_DEEP = 24;

export function Markdown({ text }) {
  return html`<div class="markdown">${blocks(lexer(text, { gfm: true, breaks: true }), 0)}</div>`;
}

function blocks(tokens, depth) {
  return tokens.map((token) => block(token, depth + 1));
}

function block(token, depth) {
  if (depth > MOST_DEEP) return token.raw;
  switch (token.type) {
    case "space":
      return null;
    case "heading":
      return html`<p class="heading" dir="auto">${inline(token.tokens, depth)}</p>`;
    case "paragraph":
      return html`<p dir="auto">${inline(token.tokens, depth)}</p>`;
    case "code":
      return html`<pre tabindex="0"><code>${token.text}</code></pre>`;
    case "blockquote":
      return html`<blockquote dir="auto">${blocks(token.tokens, depth)}</blockquote>`;
    case "hr":
      return html`<hr />`;
    case "list": {
      const items = token.items.map((item) => html`<li>${blocks(item.tokens, depth)}</li>`);
      return token.ordered ? html`<ol start=${token.start} dir="auto">${items}</ol>` : html`<ul dir="auto">${items}</ul>`;
    }
    case "table":
      return html`<div class="wide" tabindex="0" role="group"><table dir="auto">
        <thead><tr>${token.header.map((cell) => html`<th scope="col">${inline(cell.tokens, depth)}</th>`)}</tr></thead>
        <tbody>${token.rows.map((row) => html`<tr>${row.map((cell) => html`<td>${inline(cell.tokens, depth)}</td>`)}</tr>`)}</tbody>
      </table></div>`;
    case "text":
      return token.tokens ? inline(token.tokens, depth) : token.text;
    default:
      return html`<p>${token.raw}</p>`;
  }
}

function inline(tokens, depth) {
  if (depth > MOST_DEEP) return tokens.map((token) => token.raw);
  return tokens.map((token) => {
    switch (token.type) {
      case "strong":
        return html`<strong>${inline(token.tokens, depth + 1)}</strong>`;
      case "em":
        return html`<em>${inline(token.tokens, depth + 1)}</em>`;
      case "del":
        return html`<del>${inline(token.tokens, depth + 1)}</del>`;
      case "codespan":
        return html`<code>${token.text}</code>`;
      case "br":
        return html`<br />`;
      case "link":
        return leads(token.href)
          ? html`<a href=${token.href} target="_blank" rel="noopener noreferrer nofollow">${inline(token.tokens, depth + 1)}</a>`
          : token.raw;
      case "text":
      case "escape":
        return token.text;
      default:
        return token.raw;
    }
  });
}

function leads(href) {
  try {
    return ["http:", "https:"].includes(new URL(href).protocol);
  } catch {
    return false;
  }
}
