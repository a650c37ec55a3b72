// Where the reader is: #/user/view/more, so that every view has an address, and "back" goes back.
import { useEffect, useState } from "./html.js";

export const DEFAULT_USER = "me";

export function placeOf(hash) {
  const [user, view, ...more] = hash.replace(/^#\/?/, "").split("/").map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return "";
    }
  });
  return { user: user || DEFAULT_USER, view: view || "chat", more };
}

export const address = (user, view, ...more) => `#/${[user, view, ...more].map(encodeURIComponent).join("/")}`;

export function go(user, view, ...more) {
  location.hash = address(user, view, ...more);
}

export function usePlace() {
  const [place, setPlace] = useState(() => placeOf(location.hash));
  useEffect(() => {
    const moved = () => setPlace(placeOf(location.hash));
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  return place;
}
