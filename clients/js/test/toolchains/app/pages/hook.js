import { useFanfare } from 'fanfare-client/react';

// Rendered by the server first, which must not connect.
export default function Page({ hub }) {
  const { events, state } = useFanfare(hub, { topics: 't', shared: true });
  return (
    <>
      <title>{state.name}</title>
      {events.map(({ id, data }) => (
        <p key={id}>{data}</p>
      ))}
    </>
  );
}

export const getServerSideProps = ({ query: { hub } }) => ({ props: { hub } });
