/** What /v1/faces answers. */

export interface KnownPerson {
  id: string;
  name: string;
  consent: { by: string; words: string; when: string };
  pictures: number;
}

export interface Known {
  model: string;
  tier: string;
  names: boolean;
  threshold: number | null;
  strangers: number;
  accepted: number;
  recognised: number;
  people: KnownPerson[];
}
