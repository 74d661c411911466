/* The list of messages: the newest 50 of the history at first, 25 older ones whenever its upper end comes into sight, live
 * ones below. What is being read stays where it is while something is put above it or taken away there.
 *
 * A publication is known by its offset and stands here once, whether it came live, by recovery or as history. A new epoch,
 * or a gap that recovery could not fill, begins the list anew. */

const FIRST_PAGE = 50;
const NEXT_PAGE = 25;
const NEAR_PX = 80;         // of an end: counts as being there
const SHOWN_AT_END = 500;   // while the newest are in sight; older ones are loaded again by scrolling up
const SHOWN_MAX = 3000;

export function cell(className, text) {
  const element = document.createElement('span');
  element.className = className;
  element.textContent = text;
  return element;
}

const textOf = (data) => (data !== null && typeof data === 'object' && typeof data.text === 'string' ? data.text : JSON.stringify(data));

export class Messages {
  /* list: the scrolling <ol>; more: the button that says how many new ones are below; onShown(publication): it is new here. */
  constructor({ list, more, onShown, onError }) {
    Object.assign(this, { list, more, onShown, onError });
    list.addEventListener('scroll', () => this.scrolled(), { passive: true });
    more.addEventListener('click', () => this.toEnd());
    this.clear();
  }

  clear() {
    this.generation = (this.generation ?? 0) + 1; // answers to what was asked before come too late
    this.subscription = null;
    this.offsets = new Set();
    this.epoch = '';
    this.loading = false;
    this.complete = true;
    this.unread = 0;
    this.list.replaceChildren();
    this.showUnread();
  }

  /* The subscription stands, anew. */
  begin(subscription, position) {
    this.clear();
    this.subscription = subscription;
    this.complete = !position;
    this.epoch = position ? position.epoch : '';
    return this.loadOlder();
  }

  /* It stands again, nothing was missed. */
  resume() {
    this.scrolled();
  }

  note(text) {
    const item = document.createElement('li');
    item.className = 'note';
    item.textContent = text;
    this.appendRow(item);
  }

  add(publication) {
    if (publication.offset && this.offsets.has(publication.offset)) {
      return;
    }
    this.appendRow(this.rowOf(publication));
  }

  rowOf(publication) {
    const { data, offset, info } = publication;
    const item = document.createElement('li');
    item.append(cell('offset', offset ? `#${offset}` : ''), cell('body', textOf(data)), cell('who', info ? info.user || 'anonymous' : 'backend'));
    if (offset) {
      item.dataset.offset = String(offset);
      this.offsets.add(offset);
    }
    this.onShown(publication);
    return item;
  }

  isAtEnd() {
    return this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < NEAR_PX;
  }

  appendRow(item) {
    const follow = this.isAtEnd();
    this.list.append(item);
    this.showBeginning();
    this.trim(follow ? SHOWN_AT_END : SHOWN_MAX);
    if (follow) {
      this.toEnd();
    } else {
      this.unread += 1;
      this.showUnread();
    }
  }

  /* Takes the oldest away; history has them. */
  trim(most) {
    if (this.list.children.length <= most) {
      return;
    }
    this.keepPlace(() => {
      while (this.list.children.length > most) {
        this.offsets.delete(Number(this.list.firstChild.dataset.offset));
        this.list.firstChild.remove();
      }
    });
    this.complete = this.complete && this.epoch === '';
  }

  /* change() works above what is in sight. */
  keepPlace(change) {
    const fromEnd = this.list.scrollHeight - this.list.scrollTop;
    change();
    this.list.scrollTop = this.list.scrollHeight - fromEnd;
  }

  oldest() {
    const row = this.list.querySelector('li[data-offset]');
    return row === null ? 0 : Number(row.dataset.offset);
  }

  async loadOlder() {
    if (this.loading || this.complete) {
      return;
    }
    const { generation } = this;
    const oldest = this.offsets.size === 0 ? 0 : this.oldest();
    const limit = oldest === 0 ? FIRST_PAGE : NEXT_PAGE;
    this.loading = true;
    try {
      const options = { limit, reverse: true };
      const { publications } = await this.subscription.history(oldest === 0 ? options : { ...options, since: { offset: oldest, epoch: this.epoch } });
      if (generation === this.generation) {
        this.prepend(publications, publications.length < limit);
      }
    } catch (error) {
      this.failed(generation, error);
      return;
    }
    this.scrolled();
  }

  /* publications: newest first. */
  prepend(publications, isAll) {
    const follow = this.isAtEnd();
    this.loading = false;
    this.keepPlace(() => {
      for (const publication of publications) {
        if (!this.offsets.has(publication.offset)) {
          this.list.prepend(this.rowOf(publication));
        }
      }
      this.complete = isAll;
      if (isAll) {
        const item = document.createElement('li');
        item.className = 'note beginning';
        this.list.prepend(item);
        this.showBeginning();
      }
    });
    if (follow) {
      this.toEnd();
    }
  }

  /* Scrolling, or the next "subscribed", tries again. */
  failed(generation, error) {
    if (generation !== this.generation) {
      return;
    }
    this.loading = false;
    if (error.code === 112) { // the stream is another one by now
      const { subscription } = this;
      this.epoch = '';
      this.clear();
      subscription.history({ limit: 0 }).then((position) => this.begin(subscription, position), this.onError);
    } else if (error.code === 103 || error.code === 108) {
      this.complete = true;
    } else if (error.code >= 100) {
      this.onError(error);
    }
  }

  scrolled() {
    if (this.isAtEnd()) {
      this.unread = 0;
      this.showUnread();
    }
    if (this.list.scrollTop < NEAR_PX) {
      this.loadOlder();
    }
  }

  toEnd() {
    this.list.scrollTop = this.list.scrollHeight;
    this.unread = 0;
    this.showUnread();
  }

  showBeginning() {
    const item = this.list.querySelector('.beginning');
    if (item !== null) {
      item.textContent = this.offsets.size === 0 ? 'Nothing yet. Publish something, here or from another window.' : 'The history begins here.';
    }
  }

  showUnread() {
    this.more.hidden = this.unread === 0;
    this.more.textContent = `${this.unread} new ↓`;
  }
}
