// What just happened to a user's memory, told to every view, in this tab and in the others.
// News name slots and ids, never texts: who wants these asks the service.
import { useEffect } from "./html.js";

const channel = new BroadcastChannel("mneme");
const listeners = new Set();

channel.onmessage = ({ data }) => listeners.forEach((listen) => listen({ ...data, far: true }));

/** @param news {user, kind: "read" | "written" | "changed", slots?, session?} */
export function tell(news) {
  listeners.forEach((listen) => listen(news));
  channel.postMessage(news);
}

export function useNews(user, listen, inputs = []) {
  useEffect(() => {
    const mine = (news) => news.user === user && listen(news);
    listeners.add(mine);
    return () => listeners.delete(mine);
  }, [user, ...inputs]);
}
