// Says what arrives to who listens instead of looking: each answer while few come, how many when they come fast.

const PAUSE_MS = 1500;
const FEW = 3;

export function createAnnouncer(region) {
  let news = [];
  let timer = null;

  function speak() {
    timer = null;
    if (!news.length) return;
    const last = news.slice(-FEW).join(" ");
    region.textContent = news.length <= FEW ? last : `${news.length} new lines. The last: ${news.at(-1)}`;
    news = [];
    timer = setTimeout(speak, PAUSE_MS);
  }

  return {
    say(texts) {
      news.push(...texts);
      timer ??= setTimeout(speak, 0);
    },
    clear() {
      clearTimeout(timer);
      timer = null;
      news = [];
      region.textContent = "";
    },
  };
}
